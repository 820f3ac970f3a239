using System.Globalization;
using System.Net;
using System.Security.Cryptography;

namespace ProxyTune.Gateway.CommandLine;

/// <summary>Uploads an expert's files with POST /v1/experts. Large files are uploaded first, as blobs, and resume where an earlier attempt stopped.</summary>
internal static class ExpertUploader
{
    /// <summary>Smaller files are sent with the form: asking for their offset would take as long.</summary>
    private const long LeastBlob = 4 << 20;

    /// <param name="server">Its base address ends with /v1/experts/.</param>
    /// <param name="path">A folder, whose files are sent, or a .zip file.</param>
    /// <returns>The response to the upload, or to the first blob that was refused.</returns>
    public static async Task<HttpResponseMessage> RunAsync(HttpClient server, string id, string path)
    {
        using MultipartFormDataContent form = new() { { new StringContent(id), "id" } };
        foreach (FileInfo file in Directory.Exists(path) ? new DirectoryInfo(path).GetFiles() : [new FileInfo(path)])
        {
            if (file.Length < LeastBlob)
            {
                form.Add(new StreamContent(file.OpenRead()), "file", file.Name);
                continue;
            }

            (string hash, HttpResponseMessage? refused) = await SendAsync(server, file);
            if (refused is not null)
            {
                return refused;
            }

            form.Add(new StringContent($"{file.Name}=sha256:{hash}"), "blob");
        }

        return await server.PostAsync(new Uri(server.BaseAddress!.AbsoluteUri.TrimEnd('/')), form);
    }

    private static async Task<(string Hash, HttpResponseMessage? Refused)> SendAsync(HttpClient server, FileInfo file)
    {
        using FileStream content = file.OpenRead();
        string hash = Convert.ToHexStringLower(await SHA256.HashDataAsync(content));
        long offset = await OffsetAsync(server, hash);
        if (offset == file.Length)
        {
            return (hash, null);
        }

        content.Position = offset;
        using HttpRequestMessage request = new(HttpMethod.Patch, $"blobs/{hash}") { Content = new StreamContent(content) };
        request.Headers.Add("Upload-Offset", offset.ToString(CultureInfo.InvariantCulture));
        request.Headers.Add("Upload-Length", file.Length.ToString(CultureInfo.InvariantCulture));
        HttpResponseMessage answer = await server.SendAsync(request);
        return (hash, answer.IsSuccessStatusCode ? null : answer);
    }

    private static async Task<long> OffsetAsync(HttpClient server, string hash)
    {
        using HttpRequestMessage request = new(HttpMethod.Head, $"blobs/{hash}");
        using HttpResponseMessage answer = await server.SendAsync(request);
        return answer.StatusCode == HttpStatusCode.NotFound || !answer.Headers.TryGetValues("Upload-Offset", out IEnumerable<string>? offsets)
            ? 0
            : long.Parse(offsets.Single(), CultureInfo.InvariantCulture);
    }
}
