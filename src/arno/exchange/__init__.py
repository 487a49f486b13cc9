"""One upstream attempt: a sans-IO machine (bytes in, bytes and events out) and its driver."""
