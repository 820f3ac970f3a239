namespace ProxyTune.Gateway.Requests;

/// <summary>The shape of every error: string or null fields only, which is what the official clients read.</summary>
internal sealed record ErrorBody(ErrorDetail Error);

/// <param name="Message">Names the field, the value and what is accepted.</param>
/// <param name="Type">invalid_request_error, rate_limit_error or server_error.</param>
/// <param name="Param">The field at fault.</param>
/// <param name="Code">For programs, such as context_length_exceeded.</param>
internal sealed record ErrorDetail(string Message, string Type, string? Param, string? Code);
