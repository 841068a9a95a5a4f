"""One office at work: every use case of an agency's node is one method of ``transport.node.node.Node``.

``office`` holds what all of them share; each other module is one kind of work. Decisions are made in the pure modules
below; here things are fetched, written and told.
"""
