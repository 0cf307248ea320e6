"""Starts the spawner, with every command's module already imported, so that a forked child has nothing left to import."""

from etabli.sandbox import background, holder, inside, launching, network, ownership, spawner

COMMANDS = (background, holder, inside, launching, network, ownership)

if __name__ == "__main__":
    spawner.main()
