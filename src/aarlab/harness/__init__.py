"""What runs inside the sandbox beside the submitted method.

Trusted by nobody: it shares its process with hostile code, so all it sends is checked again outside.
"""
