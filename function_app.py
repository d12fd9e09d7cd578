"""Table of contents of the function app: registers the blueprints, nothing else."""

import azure.functions as func

from miners.blueprint import blueprint as miners
from operations.blueprint import blueprint as operations
from processors.blueprint import blueprint as processors

app = func.FunctionApp()
app.register_functions(miners)
app.register_functions(processors)
app.register_functions(operations)
