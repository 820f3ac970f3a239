namespace ProxyTune.Gateway.Requests;

internal static class EndpointErrors
{
    /// <summary>Documents that these statuses carry OpenAI's error shape.</summary>
    public static RouteHandlerBuilder ProducesErrors(this RouteHandlerBuilder endpoint, params ReadOnlySpan<int> statuses)
    {
        foreach (int status in statuses)
        {
            endpoint.Produces<ErrorBody>(status);
        }

        return endpoint;
    }
}
