"""What stands between the network and a service: pure ASGI, one small middleware a file.

A middleware that refuses raises ``Refused``; ``JsonErrors`` makes the answer. ``guarded`` puts them
in order.
"""
