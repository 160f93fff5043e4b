"""What the refusals of S3 servers mean: by their codes, what may pass, what to mend, and what concerns one object."""

from __future__ import annotations

from storage.access import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN

# What another try may mend although the status is below 500. A conflict is another writer's put of the same key.
PASSING = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",  # of one object among many: that answer has no status of its own
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
}
# A name the server does not take, or an object that lies in an archive or under a key of its own.
OF_ONE_OBJECT = {
    "InvalidObjectName",
    "InvalidObjectState",
    "InvalidURI",
    "KeyTooLongError",
    "XMinioInvalidObjectName",
    "XMinioInvalidResourceName",
}
TEMPORARY = (
    f"the session token has ended or is of another key: get new temporary credentials, set all three of {ACCESS_KEY}, "
    f"{SECRET_KEY} and {SESSION_TOKEN}, for the workers too, and run it again; what was done is kept"
)
TOKENS = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired"}
SKEWED = "RequestTimeTooSkewed"
KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", SKEWED}
# What OpenSSL calls an answer that is not encrypted; the last is its name since 3.2.
NO_TLS = {"HTTP_REQUEST", "UNKNOWN_PROTOCOL", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}
VAGUE = {"AccessDenied", "BadRequest"}  # what the client makes of a refusal without a text, as each to a HEAD is
ELSEWHERE = {"AuthorizationHeaderMalformed", "BadRequest", "IllegalLocationConstraintException", "InvalidRegionName"}
ADVICE = {
    "AccessDenied": f"check the policy of these credentials, or that {ACCESS_KEY} and {SECRET_KEY} are right",
    "InvalidAccessKeyId": f"the server does not know this access key: check {ACCESS_KEY}",
    "SignatureDoesNotMatch": f"the secret does not belong to the access key: check {SECRET_KEY}",
    "AuthorizationHeaderMalformed": "check the setting `region`",
    "InvalidRegionName": "check the setting `region`",
    "BadRequest": "check the settings `region` and `secure`",
}


def passes(status: int, code: str) -> bool:
    """Tell whether waiting may help. 501 is a feature the server does not have, which waiting does not bring."""
    return code in PASSING or status == 429 or (status >= 500 and status != 501)


def locked(code: str, message: str) -> bool:
    """Tell whether a version is not removed because the store holds it: S3 says so in the text alone."""
    return code in {"ObjectLocked", "InvalidRequest"} or (code == "AccessDenied" and "lock" in message.casefold())
