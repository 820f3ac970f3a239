using System.Text;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>An upload that must be refused.</summary>
/// <param name="Kind">The fault of the upload; unique.</param>
/// <param name="Says">Text that the error must contain.</param>
/// <param name="Files">Files in order; a name may occur twice.</param>
internal sealed record HostileUpload(string Kind, string Says, Func<IEnumerable<(string Name, byte[] Content)>> Files)
{
    public ExpertStoreOptions Options { get; init; } = new();

    public override string ToString() => Kind;

    public static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>A good patch with one replaced file.</summary>
    public static HostileUpload Patch(string kind, string says, string name, byte[] content) =>
        new(kind, says, () => StoreFolder.Patch.Where(file => file.Key != name).Select(file => (file.Key, file.Value)).Append((name, content)));

    /// <summary>An archive of a good patch with more entries.</summary>
    public static HostileUpload Entries(string kind, string says, params RawZip.Entry[] more) => Archive(kind, says, () => RawZip.Of(StoreFolder.Patch, more));

    public static HostileUpload Archive(string kind, string says, Func<byte[]> archive) => new(kind, says, () => [("patch.zip", archive())]);
}
