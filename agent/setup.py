"""All is in pyproject.toml but this: the two files that activate the agent go beside the package, into site-packages itself, and pip
knows them as its own, so that it removes them too."""
import os
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

ACTIVATION = ["plimsoll-agent.pth", "plimsoll-agent.start"]


class BuildWithActivation(build_py):
    def run(self):
        super().run()
        for name in ACTIVATION:
            shutil.copyfile(os.path.join("activation", name), os.path.join(self.build_lib, name))

    def get_outputs(self, include_bytecode=1):
        return super().get_outputs(include_bytecode) + [os.path.join(self.build_lib, name) for name in ACTIVATION]


setup(cmdclass={"build_py": BuildWithActivation})
