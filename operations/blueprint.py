"""Triggers of operations: decode, call, return."""

import json

import azure.functions as func

from operations.health import health as look
from shared.services import services

blueprint = func.Blueprint()


@blueprint.route(trigger_arg_name="request", route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(request: func.HttpRequest) -> func.HttpResponse:
    outcome = await look(await services())
    body = json.dumps({"status": outcome.what, **outcome.facts})
    return func.HttpResponse(body, status_code=200 if outcome.what == "ok" else 503, mimetype="application/json")
