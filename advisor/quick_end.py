"""Imported first by the process that workers are copies of: it ends without taking its modules apart.

That takes a second with torch among them. Whoever reads what the program prints would wait for it, because
the process has the same standard output.
"""

import atexit
import os

atexit.register(os._exit, 0)
