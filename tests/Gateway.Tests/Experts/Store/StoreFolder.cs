using System.Text;
using ProxyTune.Gateway.Experts;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>A store in a temporary folder, and a good patch to upload.</summary>
public sealed class StoreFolder : IDisposable
{
    private static readonly Lazy<IReadOnlyDictionary<string, byte[]>> Good = new(WritePatch);
    private readonly DirectoryInfo parent = Directory.CreateTempSubdirectory("proxytune-store-");

    public string Path => System.IO.Path.Combine(parent.FullName, "experts");

    /// <summary>The files of a patch of a <see cref="TinyModel"/>.</summary>
    public static Dictionary<string, byte[]> Patch => new(Good.Value);

    /// <summary>Contents of all files below the store's folder except its lock and its reserve, by relative name.</summary>
    public IReadOnlyDictionary<string, string> Contents => !Directory.Exists(Path) ? new Dictionary<string, string>()
        : new DirectoryInfo(Path).EnumerateFiles("*", SearchOption.AllDirectories).Where(file => file.Name is not ("lock" or "reserve"))
            .ToDictionary(file => System.IO.Path.GetRelativePath(Path, file.FullName), file => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file.FullName))));

    public ExpertStore Open(ExpertStoreOptions? options = null, ExpertTrial? trial = null, TimeProvider? time = null) => ExpertStore.Open(Path, options, trial, time);

    public static async Task<ExpertRecord> AddAsync(ExpertStore store, string id, IReadOnlyDictionary<string, byte[]> files)
    {
        using ExpertUpload upload = store.Begin();
        foreach ((string name, byte[] content) in files)
        {
            await upload.AddAsync(name, new MemoryStream(content));
        }

        return await upload.CommitAsync(id);
    }

    /// <summary>A good patch that differs by number.</summary>
    public static Dictionary<string, byte[]> PatchNumber(int number) => PatchNumber(Patch, number);

    /// <param name="files">Files of a patch except its config.</param>
    public static Dictionary<string, byte[]> PatchNumber(IReadOnlyDictionary<string, byte[]> files, int number) =>
        new(files) { ["adapter_config.json"] = Encoding.UTF8.GetBytes($$"""{"peft_type":"LORA","r":{{TinyPatch.Rank}},"lora_alpha":{{number + 1}}}""") };

    public void Dispose() => parent.Delete(recursive: true);

    private static Dictionary<string, byte[]> WritePatch()
    {
        using TinyModel model = TinyModel.Create();
        string folder = System.IO.Path.Combine(model.Folder, "patch");
        TinyPatch.Write(folder, model.Folder, 1, TinyPatch.Modules);
        return Directory.EnumerateFiles(folder).ToDictionary(file => System.IO.Path.GetFileName(file), File.ReadAllBytes);
    }
}
