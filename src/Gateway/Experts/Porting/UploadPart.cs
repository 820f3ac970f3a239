using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>One part of a form, read from the connection as it arrives. Valid until the next part is read.</summary>
/// <param name="Name">Name of the field.</param>
/// <param name="FileName">File name from the client; empty if it gave none.</param>
internal sealed record UploadPart(string Name, string FileName, Stream Content)
{
    private const string Form = "multipart/form-data with a boundary";
    private const int MaxTextBytes = 4096, LongestBoundary = 200;

    /// <exception cref="EngineException">InvalidValue: the body is no form, or the form is broken.</exception>
    public static async IAsyncEnumerable<UploadPart> ReadAsync(HttpRequest request)
    {
        string boundary = MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type) && type.MediaType == "multipart/form-data"
            ? HeaderUtilities.RemoveQuotes(type.Boundary).ToString()
            : "";
        if (boundary.Length is 0 or > LongestBoundary)
        {
            throw new EngineException(EngineError.InvalidValue, $"Content-Type is {request.ContentType ?? "missing"}; accepted is {Form}.", "Content-Type");
        }

        MultipartReader reader = new(boundary, request.Body);
        while (await Guard(() => reader.ReadNextSectionAsync(request.HttpContext.RequestAborted)) is { } section)
        {
            ContentDispositionHeaderValue? disposition = section.GetContentDispositionHeader();
            yield return disposition is not null && disposition.IsFormDisposition() | disposition.IsFileDisposition()
                ? new(Text(disposition.Name), Text(disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName), section.Body)
                : throw new EngineException(EngineError.InvalidValue, $"A part of the form has the Content-Disposition '{section.ContentDisposition}'; accepted is form-data with a name.");
        }
    }

    /// <summary>The value of a field.</summary>
    public async Task<string> TextAsync(CancellationToken cancellation)
    {
        byte[] bytes = new byte[MaxTextBytes + 1];
        int read = await Guard(() => Content.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellation).AsTask());
        return read <= MaxTextBytes
            ? Encoding.UTF8.GetString(bytes, 0, read)
            : throw new EngineException(EngineError.InvalidValue, $"{Name} is longer than {MaxTextBytes} bytes.", Name);
    }

    // The form is broken. A broken connection throws a type of its own.
    private static async Task<T> Guard<T>(Func<Task<T>> read)
    {
        try
        {
            return await read();
        }
        catch (Exception error) when (error is InvalidDataException || error.GetType() == typeof(IOException))
        {
            throw new EngineException(EngineError.InvalidValue, $"The form cannot be read: {error.Message}", inner: error);
        }
    }

    private static string Text(StringSegment value) => HeaderUtilities.RemoveQuotes(value).ToString();
}
