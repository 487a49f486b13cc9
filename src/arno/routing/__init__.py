"""Pure decisions: which candidates, in which order, and when to try the next one."""
