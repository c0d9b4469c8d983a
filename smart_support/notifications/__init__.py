"""Notifications: tells people and programs outside the console what waits for them.

The file of targets (`targets.py`) says who gets what. The outbox (`outbox.py`) is filled from what is on
record, and `delivery.py` sends from it. It holds no words: a message is made when it is sent (`messages.py`).
"""
