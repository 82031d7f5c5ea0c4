"""What stands between the network and a service: pure ASGI, one small middleware a file.

The middlewares see HTTP alone. One that refuses raises ``Refused``, and ``JsonErrors`` makes the
answer. ``guarded`` puts them in order.
"""
