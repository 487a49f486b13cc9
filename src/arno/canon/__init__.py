"""The canonical form: one meaning for every dialect; knows no dialect.

Values (`request`, `response`, `parts`, `usage`, `failure`), events (`events`, their legal orders
in `order`), and the two maps between a stream and a whole answer (`fold`, `unfold`).
"""
