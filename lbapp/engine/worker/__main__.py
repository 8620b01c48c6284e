"""`python -m lbapp.engine.worker FD`: a worker process, as the supervisor starts it. FD is its end of the channel."""

import gc
import sys

if __name__ == "__main__":
    # What a start makes stays: to look through all of it for garbage, again and again while it grows, is a tenth of a start.
    gc.disable()
    from lbapp.engine.worker.run import main

    sys.exit(main())
