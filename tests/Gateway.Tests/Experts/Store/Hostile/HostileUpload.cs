using System.Text;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>One upload that must be refused.</summary>
/// <param name="Kind">What is wrong with it, unique.</param>
/// <param name="Says">What the error must name.</param>
/// <param name="Files">In the order in which they come; a name may be there twice.</param>
internal sealed record HostileUpload(string Kind, string Says, Func<IEnumerable<(string Name, byte[] Content)>> Files)
{
    public ExpertStoreOptions Options { get; init; } = new();

    public override string ToString() => Kind;

    public static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>A good patch but for one file.</summary>
    public static HostileUpload Patch(string kind, string says, string name, byte[] content) =>
        new(kind, says, () => StoreFolder.Patch.Where(file => file.Key != name).Select(file => (file.Key, file.Value)).Append((name, content)));

    /// <summary>An archive of a good patch, and some entries more.</summary>
    public static HostileUpload Entries(string kind, string says, params RawZip.Entry[] more) => Archive(kind, says, () => RawZip.Of(StoreFolder.Patch, more));

    public static HostileUpload Archive(string kind, string says, Func<byte[]> archive) => new(kind, says, () => [("patch.zip", archive())]);
}
