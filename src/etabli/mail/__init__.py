"""E-mail: one message handed to a server now, or kept and tried again until it is taken. A lab without a server works all the same.

Allowed: the kernel. Messages are written by whoever has the words (`web`); nothing that opens a door is kept here.
"""
