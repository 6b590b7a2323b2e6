"""What the provider info names exists, and what exists is named."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import airflow.sdk
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator, BaseOperatorLink
from airflow.triggers.base import BaseTrigger

import airflow_provider_servicenow_dq as package
from airflow_provider_servicenow_dq.get_provider_info import get_provider_info

# Read by Airflow's DAG processor and by Alembic, not to be imported by us.
RUN_BY_OTHERS = (f"{package.__name__}.example_dags", f"{package.__name__}.store.migrations.")
OF_AIRFLOW_3_3 = {f"{package.__name__}.operators.retry_policy"}

#: A sensor is an operator.
LISTED_IN = {"hooks": ["hooks"], "operators": ["operators", "sensors"], "triggers": ["triggers"]}


def test_every_class_and_module_named_can_be_imported():
    info = get_provider_info()
    hooks = [kind["hook-class-name"] for kind in info["connection-types"]]
    paths = [*info["extra-links"], *info["notifications"], *hooks]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert inspect.isclass(getattr(importlib.import_module(module), name)), path
    for place in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[place]:
            for module in entry["python-modules"]:
                importlib.import_module(module)


def test_everything_shipped_is_listed():
    kinds = {
        "hooks": BaseHook,
        "operators": BaseOperator,
        "extra-links": BaseOperatorLink,
        "notifications": BaseNotifier,
        "triggers": BaseTrigger,
    }
    shipped: dict[str, set[type]] = {kind: set() for kind in kinds}
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name.startswith(RUN_BY_OTHERS):
            continue
        if found.name in OF_AIRFLOW_3_3 and not hasattr(airflow.sdk, "RetryPolicy"):
            continue
        module = importlib.import_module(found.name)
        for kind, base in kinds.items():
            for name, cls in inspect.getmembers(module, inspect.isclass):
                if issubclass(cls, base) and cls.__module__ == module.__name__ and not name.startswith("_"):
                    shipped[kind].add(cls)

    info = get_provider_info()
    for kind in ("extra-links", "notifications"):
        assert set(info[kind]) == {f"{cls.__module__}.{cls.__name__}" for cls in shipped[kind]}, kind
    for kind, places in LISTED_IN.items():
        listed = {module for place in places for entry in info[place] for module in entry["python-modules"]}
        found_there = {
            cls
            for name in listed
            for _, cls in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        }
        assert shipped[kind] - found_there == set(), kind


def test_the_type_of_the_hook_is_the_type_of_the_form():
    (kind,) = get_provider_info()["connection-types"]
    module, _, name = kind["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (kind["connection-type"], kind["hook-name"])
