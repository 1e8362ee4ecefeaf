"""One file a command of `quickset`: each reads its arguments, calls one part, prints the answer."""
