using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>A server whose experts lie on a real file system of a few megabytes, which is full.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly DirectoryInfo disk = Directory.CreateTempSubdirectory("proxytune-disk-");

    public void Dispose()
    {
        Run("umount", disk.FullName);
        disk.Delete(recursive: true);
    }

    /// <summary>Needs the right to mount.</summary>
    [SkippableFact]
    public async Task Upload_DiskIsFull_Is507AndDeleteStillWorks()
    {
        Skip.If(Run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk.FullName) != 0, "This process may not mount a small disk.");

        RunningGateway gateway = new(null, "--Experts:Folder", Path.Combine(disk.FullName, "experts"));
        await gateway.InitializeAsync();
        try
        {
            await gateway.UploadPatchAsync("first", seed: 1);
            string filler = Path.Combine(disk.FullName, "filler");
            await Assert.ThrowsAsync<IOException>(() => File.WriteAllBytesAsync(filler, new byte[4 << 20]));

            using (HttpResponseMessage refused = await gateway.Http.PostAsync("/v1/experts", Form(StoreFolder.PatchNumber(2))))
            {
                JsonElement error = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
                Assert.Equal((HttpStatusCode.InsufficientStorage, "disk_full"), (refused.StatusCode, error.GetProperty("code").GetString()));
                Assert.DoesNotContain(disk.FullName, error.GetProperty("message").GetString(), StringComparison.Ordinal);
            }

            Assert.Equal(["first"], await IdsAsync(gateway));
            using (HttpResponseMessage deleted = await gateway.Http.DeleteAsync("/v1/experts/first"))
            {
                Assert.True(deleted.IsSuccessStatusCode, await deleted.Content.ReadAsStringAsync());
            }

            Assert.Empty(await IdsAsync(gateway));
            File.Delete(filler);
            using HttpResponseMessage added = await gateway.Http.PostAsync("/v1/experts", Form(StoreFolder.PatchNumber(3)));
            Assert.True(added.IsSuccessStatusCode, await added.Content.ReadAsStringAsync());
        }
        finally
        {
            await gateway.DisposeAsync();
        }
    }

    private static async Task<string[]> IdsAsync(RunningGateway gateway) =>
        [.. (await gateway.Http.GetFromJsonAsync<JsonElement>("/v1/experts")).GetProperty("data").EnumerateArray().Select(expert => expert.GetProperty("id").GetString()!)];

    private static MultipartFormDataContent Form(IReadOnlyDictionary<string, byte[]> files)
    {
        MultipartFormDataContent form = new() { { new StringContent("second"), "id" } };
        foreach ((string name, byte[] content) in files)
        {
            form.Add(new ByteArrayContent(content) { Headers = { ContentType = new MediaTypeHeaderValue("application/octet-stream") } }, "file", name);
        }

        return form;
    }

    private static int Run(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return 1;
        }
    }
}
