"""The access token of a preview: given by hand, or asked for where that uses nothing up."""

from dataclasses import replace

from devtools.cli.preview_steps import Subject
from shared.adapters.token_http import TokenHttp
from shared.errors import BadInput, SourceError
from shared.pipeline.access_tokens import TokenAuth, read_tokens, token_request
from shared.pipeline.spec import OAuth2RefreshToken
from shared.settings import Settings

GIVEN = "access_token"
"""The credential that is taken as the access token if somebody gives it."""


async def with_access(subject: Subject) -> Subject:
    """The subject with an access token, if its source wants one. Raises BadInput."""
    auth = subject.pipeline.source.auth
    given = subject.user.credentials.get(GIVEN, "")
    if not isinstance(auth, TokenAuth) or given:
        return replace(subject, access=given)
    if isinstance(auth, OAuth2RefreshToken):
        raise BadInput(
            "source.auth: found oauth2_refresh_token, which a preview would use up; "
            f"allowed: an access token, as --credential {GIVEN}=@env:NAME"
        )
    endpoint = TokenHttp(Settings.model_fields["request_seconds"].default)
    try:
        response = await endpoint.exchange(subject.user.id, token_request(auth, subject.scopes, None))
        return replace(subject, access=read_tokens(auth, response, subject.now).access_token)
    except SourceError as error:
        raise BadInput(f"source.auth: no access token: {error}, allowed: a credential that is accepted there") from None
    finally:
        await endpoint.close()
