"""Benchmarks that anyone can rerun: `make bench`, or `python -m benchmarks [--quick]`.

    traffic     the bytes that are asked and answered
    upstream    a scripted upstream, a process of its own
    load        a load of raw clients, a process of its own
    gateway     the product under test, a process of its own
    floor       the product's server and upstream pool alone, a process of its own
    machine     cores, CPU time and memory of a process
    children    starting and stopping those processes
    serving     CPU per request and event, added latency, memory
    startup     time to the first answer, import times
    install     size of what is installed
    micro       single steps of the hot path
    table       what is printed

They hold the budgets of the architecture (sections 5 and 6) up to what is measured. Nothing here
fails because a machine is slow. All traffic stays on the loopback interface.
"""
