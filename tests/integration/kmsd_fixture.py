# SPDX-License-Identifier: Apache-2.0
"""Starts and stops the real kmsd for the client tests."""
import re
import subprocess


class Kmsd:
    def __init__(self, program, state_directory):
        self.process = subprocess.Popen(
            [program, "dev", "--listen", "127.0.0.1:0", "--state-dir", state_directory],
            stdout=subprocess.PIPE, text=True)
        self.address = None
        for line in self.process.stdout:
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", line)
            if found:
                self.address = found.group(1)
                break
        if self.address is None:
            raise RuntimeError(f"kmsd ended with {self.process.wait()} before it listened")
        with open(state_directory + "/root-token", encoding="ascii") as file:
            self.token = file.read().strip()

    def stop(self):
        """Returns the exit status."""
        self.process.terminate()
        with self.process.stdout as rest:
            rest.read()
        return self.process.wait(timeout=10)
