"""What a scheduler's log says of a lost task: Airflow's own loss is told from a crash of ours."""

from __future__ import annotations

from lost_tasks import lost_by_airflow

TRY = "01a204ef-8adf-7900-92a5-d43fe353dffc"
OTHER = "01a204ef-949f-72a9-ae7f-532e1499dce8"

# Lines of a real scheduler (3.3.2), without what comes after the names.
SENT = (
    "2026-11-22T20:25:38.246140Z [info     ] Trying to enqueue tasks: [<TaskInstance: wait_for_ticket.wait "
    f"by_hand_f874bb35 [scheduled] ti_id={TRY}>] for executor: LocalExecutor(parallelism=4)"
)
SENT_WITH_ANOTHER = (
    "2026-11-22T20:25:45.918614Z [info     ] Trying to enqueue tasks: [<TaskInstance: servicenow_sync.pull "
    f"by_hand_95cdf01c [scheduled] ti_id={OTHER}>, <TaskInstance: wait_for_ticket.wait by_hand_f874bb35 "
    f"[scheduled] ti_id={TRY}>] for executor: LocalExecutor(parallelism=4)"
)
DEFERRED = (
    "2026-11-22T20:25:46.147822Z [info     ] TaskInstance Finished: dag_id=wait_for_ticket, task_id=wait, "
    f"run_id=by_hand_f874bb35, map_index=-1, ti_id={TRY}, run_start_date=2026-11-22 20:25:38.431086+00:00, "
    "run_end_date=None, run_duration=None, state=deferred, executor=LocalExecutor(parallelism=4), "
    "executor_state=success, try_number=1, max_tries=1"
)
FAILED = (
    "2026-11-22T20:25:46.147822Z [info     ] TaskInstance Finished: dag_id=wait_for_ticket, task_id=wait, "
    f"run_id=by_hand_f874bb35, map_index=-1, ti_id={TRY}, run_start_date=2026-11-22 20:25:38.431086+00:00, "
    "run_end_date=None, run_duration=None, state=running, executor=LocalExecutor(parallelism=4), "
    "executor_state=failed, try_number=1, max_tries=1"
)
LOST = (
    "2026-11-22T20:25:46.149178Z [error    ] Executor LocalExecutor(parallelism=4) reported that the task "
    f"instance <TaskInstance: wait_for_ticket.wait by_hand_f874bb35 [running] ti_id={TRY}> finished with "
    "state failed, but the task instance's state attribute is running. Learn more: https://airflow.apache.org/docs/"
)


def log(*lines: str) -> str:
    return "\n".join(lines)


def test_a_try_that_was_sent_twice_before_it_was_failed_is_lost_by_airflow() -> None:
    assert lost_by_airflow(log(SENT, SENT_WITH_ANOTHER, FAILED, LOST)) == {TRY}


def test_a_try_that_was_sent_once_and_ended_without_a_word_crashed() -> None:
    assert lost_by_airflow(log(SENT, FAILED, LOST)) == set()


def test_a_try_that_crashed_after_it_had_been_deferred_was_not_sent_twice() -> None:
    assert lost_by_airflow(log(SENT, DEFERRED, SENT_WITH_ANOTHER, FAILED, LOST)) == set()


def test_a_crash_is_none_of_airflows_losses_because_another_task_was_sent_twice() -> None:
    assert (
        lost_by_airflow(log(SENT_WITH_ANOTHER, SENT_WITH_ANOTHER.replace(TRY, "0" * 36), FAILED, LOST))
        == set()
    )


def test_what_airflow_resumed_too_early_it_tries_again_by_itself() -> None:
    assert lost_by_airflow(log(SENT, SENT, DEFERRED, LOST.replace("state failed", "state success"))) == set()
