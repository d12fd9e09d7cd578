"""A small stand-in for `func start`, for machines where Core Tools cannot be installed.

The host process owns the listeners (timers, Service Bus, HTTP); the functions run in worker processes, so that a
function that hangs or kills its process takes down no lock and no listener. What a function is handed goes through
the same converters of `azure.functions` as in Azure.
"""
