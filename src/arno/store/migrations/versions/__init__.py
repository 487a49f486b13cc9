"""One file per revision, numbered; a revision only adds, so that the release before runs on it."""
