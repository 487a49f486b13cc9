"""Benchmarks that anyone can rerun: `make bench`, `make soak`, or `python -m benchmarks --help`.

What is asked and answered:

    traffic         the bytes
    scripts         what the upstream can answer
    upstream.c      the scripted upstream; upstream.py where there is no C compiler
    mock            starting one of them, with TLS in front
    load            a load of raw clients

What is measured, and how:

    gateway         the product under test; lanes: the ways in which it is driven
    floor           the product's server and upstream pool alone
    nginx, peers    other gateways; peers/: their versions
    subjects        all of those in one shape
    answers         whether they answer rightly
    measure         CPU time, latency, memory
    compare         the table and its gates; report: how they are printed, and as JSON
    requests        whole answers alone, in ten seconds
    profile         where the CPU time goes; sampler.py, sampler.c: its half in the gateway
    startup         time to the first answer, import times
    install         size of what is installed
    micro           single steps of the hot path
    soak            a mix of everything for minutes; soak_clients, soak_gateway, fit

And what all of them use: machine (cores, CPU time, memory), children (starting and stopping),
native (compiling), table (printing).

They hold the budgets of the architecture (sections 5 and 6) up to what is measured. Nothing here
fails because a machine is slow. All traffic stays on the loopback interface.
"""
