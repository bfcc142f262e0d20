"""Machines that trials run on: Ray, what each trial gets of them, and with which priority."""
