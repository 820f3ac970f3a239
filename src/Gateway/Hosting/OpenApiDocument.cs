using Microsoft.AspNetCore.OpenApi;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Hosting;

/// <summary>What /openapi/v1.json says beyond the endpoints themselves.</summary>
internal static class OpenApiDocument
{
    public static void Configure(OpenApiOptions options)
    {
        options.AddSchemaTransformer((schema, context, _) =>
        {
            foreach (FusionField field in context.JsonTypeInfo.Type == typeof(AskedFusion) ? FusionTable.Fields : [])
            {
                schema.Properties![field.Name].Description = field.Describe();
            }

            return Task.CompletedTask;
        });
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "ProxyTune";
            document.Info.Description = "OpenAI-compatible completions from fused models.";
            // The address of the server that wrote the document is not part of the API.
            document.Servers?.Clear();
            return Task.CompletedTask;
        });
    }
}
