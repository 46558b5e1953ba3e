"""The jail, from the outside in.

`jail`          what this machine gives, found by trying; entered once, by the zygote
`namespaces`    no processes, mounts, network, IPC or host name of the machine, and an empty root
`init`          process 1 inside; its end is the end of every worker
`identities`    user ids that belong to nobody else
`lockdown`      the ordered steps of each worker
`landlock`      no files, ports, abstract sockets, signals
`system_calls`  the allow-list of seccomp, assembled by `bpf`
`trial`         whether what was done also holds
`kernel`        the system calls that Python does not offer
"""
