using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using ProxyTune.Checkpoints;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Experts;

/// <summary>POST /v1/experts and /v1/experts/blobs/{sha256}: uploads experts, and large files of them in pieces. Bytes are written to the disk as they arrive.</summary>
internal static class ExpertUploads
{
    private const string Offset = "Upload-Offset", Length = "Upload-Length";

    // Size of a form without its files.
    private const long FormBytes = 1 << 20;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/experts", UploadAsync)
            .WithTags("Experts")
            .WithName("uploadExpert")
            .WithSummary("Uploads a patch in PEFT's layout or a model in onnxruntime-genai's, as files, as one .zip, or as blobs. For operators.")
            .Accepts<ExpertForm>("multipart/form-data")
            .Produces<ExpertObject>(StatusCodes.Status201Created)
            .ProducesErrors(400, 403, 404, 409, 413, 415, 507);

        routes.MapMethods("/v1/experts/blobs/{sha256}", [HttpMethods.Head], Head)
            .WithTags("Experts")
            .WithName("getBlobOffset")
            .WithSummary($"How many bytes of a file are here, in the header {Offset}. For operators.")
            .Produces(StatusCodes.Status200OK)
            .ProducesErrors(403, 404);

        routes.MapPatch("/v1/experts/blobs/{sha256}", PatchAsync)
            .WithTags("Experts")
            .WithName("appendBlob")
            .WithSummary($"Adds the body to a file, whose SHA-256 is its name, at the header {Offset}; {Length} says how long it will be. For operators.")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesErrors(400, 403, 409, 413, 507);
    }

    private static async Task<IResult> UploadAsync(HttpContext http, ExpertStore store, ExpertRegistry registry, Caller caller)
    {
        caller.RequireOperator("Uploading experts");
        Limit(http, store.Options.MaxUploadBytes + FormBytes);
        string id = "";
        using ExpertUpload upload = store.Begin();
        await foreach (UploadPart part in UploadPart.ReadAsync(http.Request))
        {
            switch (part.Name)
            {
                case "id":
                    id = await part.TextAsync(http.RequestAborted);
                    break;
                case "file":
                    await upload.AddAsync(part.FileName, part.Content, http.RequestAborted);
                    break;
                case "blob":
                    (string name, string hash) = Blob(await part.TextAsync(http.RequestAborted));
                    await upload.AddBlobAsync(name, hash, http.RequestAborted);
                    break;
                default:
                    throw new EngineException(EngineError.InvalidValue, $"The form has a field '{part.Name}'; accepted are id, file and blob.", part.Name);
            }
        }

        registry.RequireFree(id);
        ExpertRecord expert = await upload.CommitAsync(id, http.RequestAborted);
        return TypedResults.Json(ExpertObject.Of(expert, registry), ExpertsWire.Json.ExpertObject, statusCode: StatusCodes.Status201Created);
    }

    private static Ok Head(string sha256, HttpContext http, ExpertStore store, Caller caller)
    {
        caller.RequireOperator("Reading blobs");
        http.Response.Headers[Offset] = (store.BlobOffset(sha256) ?? throw new EngineException(EngineError.UnknownUpload, $"There is no blob {sha256}.", "sha256")).ToString(CultureInfo.InvariantCulture);
        return TypedResults.Ok();
    }

    private static async Task<IResult> PatchAsync(string sha256, HttpContext http, ExpertStore store, Caller caller)
    {
        caller.RequireOperator("Uploading blobs");
        Limit(http, store.Options.MaxUploadBytes);
        long there = await store.AppendBlobAsync(sha256, Number(http, Offset), Number(http, Length), http.Request.Body, http.RequestAborted);
        http.Response.Headers[Offset] = there.ToString(CultureInfo.InvariantCulture);
        return TypedResults.NoContent();
    }

    // The store counts the bytes of files. The server's limit for JSON bodies does not apply.
    private static void Limit(HttpContext http, long bytes)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = bytes;
        }
    }

    private static long Number(HttpContext http, string header) =>
        long.TryParse(http.Request.Headers[header], NumberStyles.None, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw new EngineException(EngineError.InvalidValue, $"{header} is '{http.Request.Headers[header]}'; accepted is a number of bytes.", header);

    private static (string Name, string Hash) Blob(string text) => text.Split("=sha256:") is [var name, var hash]
        ? (name, hash)
        : throw new EngineException(EngineError.InvalidValue, $"blob is '{text}'; accepted is NAME=sha256:HASH.", "blob");
}
