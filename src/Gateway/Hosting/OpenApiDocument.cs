using Microsoft.AspNetCore.OpenApi;

namespace ProxyTune.Gateway.Hosting;

/// <summary>What /openapi/v1.json says beyond the endpoints themselves.</summary>
internal static class OpenApiDocument
{
    public static void Configure(OpenApiOptions options) =>
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "ProxyTune";
            document.Info.Description = "OpenAI-compatible completions from fused models.";
            // The address that the document was fetched from says nothing about the API.
            document.Servers?.Clear();
            return Task.CompletedTask;
        });
}
