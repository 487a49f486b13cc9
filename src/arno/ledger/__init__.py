"""The ledger: money and what is kept of every request; pure, no input or output.

`money` (integer nano-USD), `price` (rows and arithmetic), `settle` (which cost is charged), `entry`
(what is kept), `ports` (the Protocols that a store fulfils).
"""
