"""Ways to keep a database from taking records, and to wait for what follows, for tests."""

import sqlite3
import threading


def lock_database(path):
    """Hold the file as another process in a long transaction would; close the result to let go."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("BEGIN EXCLUSIVE").close()
    return connection


def until(condition):
    """Wait for something that has to come; the suite's own time limit ends it if it does not."""
    while not condition():
        threading.Event().wait(0.002)
