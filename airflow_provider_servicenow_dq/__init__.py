"""Data-quality anomalies become ServiceNow incidents, exactly once, from Apache Airflow."""

__version__ = "0.1.0"
