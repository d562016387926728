"""The agent on the GPU instance: pulls jobs until the queue stays empty, then lets the machine end itself."""
