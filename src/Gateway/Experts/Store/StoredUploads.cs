using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>The store's experts, as the engine reads them.</summary>
internal sealed class StoredUploads(ExpertStore store) : IUploadedExperts
{
    public IUploadedExpert? FindPatch(string name) => Find(name, ExpertKind.Patch);

    public IUploadedExpert? FindModel(string name) => Find(name, ExpertKind.Model);

    private Upload? Find(string name, ExpertKind kind) => store.Find(name) is { } record && record.Kind == kind ? new(store, record) : null;

    private sealed class Upload(ExpertStore store, ExpertRecord record) : IUploadedExpert
    {
        public string Folder => store.FolderOf(record);

        public string Content => record.Content;

        public void Verify() => store.Verify(record);
    }
}
