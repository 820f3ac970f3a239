using ProxyTune.Decoding.Serving;

namespace ProxyTune.Decoding.Tests.Serving;

/// <summary>Uploads in folders of a test. It counts verifications.</summary>
internal sealed class TestUploads : IUploadedExperts
{
    private readonly Dictionary<string, Upload> patches = [];
    private readonly Dictionary<string, Upload> models = [];
    private int verified;

    public int Verified => verified;

    /// <summary>Called with the folder of each upload that is verified.</summary>
    public Action<string>? OnVerify { get; set; }

    public void AddPatch(string name, string folder, string content) => patches[name] = new(this, folder, content);

    public void AddModel(string name, string folder) => models[name] = new(this, folder, $"sha of {name}");

    public IUploadedExpert? FindPatch(string name) => patches.GetValueOrDefault(name);

    public IUploadedExpert? FindModel(string name) => models.GetValueOrDefault(name);

    private sealed class Upload(TestUploads owner, string folder, string content) : IUploadedExpert
    {
        public string Folder => folder;

        public string Content => content;

        public void Verify()
        {
            Interlocked.Increment(ref owner.verified);
            owner.OnVerify?.Invoke(folder);
        }
    }
}
