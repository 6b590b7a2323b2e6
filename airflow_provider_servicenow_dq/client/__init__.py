"""Talking to a ServiceNow instance. Nothing here knows Airflow."""
