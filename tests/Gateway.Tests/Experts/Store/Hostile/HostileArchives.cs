using System.Text;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Archives that try to write outside their folder, expand without limit, or have another meaning for another program.</summary>
internal static class HostileArchives
{
    private static readonly byte[] Json = HostileUpload.Text("{}");
    private static readonly ExpertStoreOptions Small = new() { MaxUploadBytes = 4 << 20, MaxFiles = 8 };

    public static IEnumerable<HostileUpload> All => [.. Paths, .. Kinds, .. Sizes, .. Forms];

    private static IEnumerable<HostileUpload> Paths =>
    [
        Named("parent folder", "../manifest.json", "'..'"),
        Named("parent folder inside", "a/../../manifest.json", "'..'"),
        Named("current folder", "./manifest.json", "'.'"),
        Named("absolute path", "/tmp/manifest.json", "absolute"),
        Named("network path", "//host/share/manifest.json", "absolute"),
        Named("backslash", "..\\manifest.json", "backslash"),
        Named("drive letter", "C:/manifest.json", "drive letter"),
        Named("alternate stream", "manifest.json:stream", "colon"),
        Named("NUL in the name", "manifest.json\0.txt", "control character"),
        Named("line break in the name", "manifest\n.json", "control character"),
        Named("escape sequence in the name", "\u001b[2Jmanifest.json", "control character"),
        Named("empty part", "a//manifest.json", "empty part"),
        Named("two folders", "other/manifest.json", "deeper"),
        HostileUpload.Archive("deep folder", "deeper", () => RawZip.Of(StoreFolder.Patch.ToDictionary(file => "a/b/" + file.Key, file => file.Value))),
        Named("right-to-left override", "manifest\u202enosj", "no plain name"),
        Named("full-width letters", "manifest．json", "no plain name"),
        Named("name that ends in a dot", "manifest.json.", "no plain name"),
        Named("name that ends in a space", "manifest.json ", "no plain name"),
        Named("very long name", new string('a', 300) + ".json", "no plain name"),
        Named("name of a device", "con.json", "no plain name"),
        Named("home folder", "~/manifest.json", "deeper"),
        HostileUpload.Entries("entry without a name", "no name", new RawZip.Entry("", Json)),
    ];

    private static IEnumerable<HostileUpload> Kinds =>
    [
        HostileUpload.Entries("symbolic link", "symbolic link", new RawZip.Entry("manifest.json", HostileUpload.Text("/etc/passwd")) { Mode = 0xA1FF }),
        HostileUpload.Entries("named pipe", "special file", new RawZip.Entry("manifest.json", []) { Mode = 0x11A4 }),
        HostileUpload.Entries("device", "special file", new RawZip.Entry("manifest.json", []) { Mode = 0x21A4 }),
        HostileUpload.Entries("socket", "special file", new RawZip.Entry("manifest.json", []) { Mode = 0xC1A4 }),
        HostileUpload.Entries("file that is called a folder", "special file", new RawZip.Entry("manifest.json", Json) { Mode = 0x41ED }),
        HostileUpload.Entries("folder with data", "folder of", new RawZip.Entry("a/", Json) { Mode = 0 }),
        HostileUpload.Entries("the same name twice", "twice", new RawZip.Entry("adapter_config.json", Json)),
        Named("the same name in capitals", "Adapter_Config.json", "no file of an expert"),
        HostileUpload.Entries("weights twice by case", "upper and lower case", new RawZip.Entry("Adapter_Model.safetensors", StoreFolder.Patch["adapter_model.safetensors"])),
        Named("decomposed letters", "mane\u0301ifest.json", "no plain name"),
        HostileUpload.Entries("archive in an archive", "archive inside an archive", new RawZip.Entry("more.zip", RawZip.Of(StoreFolder.Patch))),
        HostileUpload.Entries("archive that is called weights", "archive", new RawZip.Entry("more.safetensors", RawZip.Of(StoreFolder.Patch))),
        HostileUpload.Entries("tar in an archive", "archive", new RawZip.Entry("more.tar.gz", Json)),
        HostileUpload.Entries("encrypted entry", "encrypted", new RawZip.Entry("manifest.json", Json) { Flags = 1 }),
        HostileUpload.Entries("AES entry", "encrypted", new RawZip.Entry("manifest.json", Json) { Extra = [0x01, 0x99, 1, 0, 0] }),
        HostileUpload.Entries("other compression", "method 14", new RawZip.Entry("manifest.json", Json) { Method = 14 }),
        HostileUpload.Entries("patched data", "method", new RawZip.Entry("manifest.json", Json) { Flags = 1 << 5 }),
    ];

    private static IEnumerable<HostileUpload> Sizes =>
    [
        HostileUpload.Entries("bomb", "MaxRatio", new RawZip.Entry("model.onnx.data", new byte[8 << 20])),
        HostileUpload.Entries("bomb with a small length", "not what its header says", new RawZip.Entry("model.onnx.data", new byte[8 << 20]) { Length = 10 }),
        HostileUpload.Entries("too large unpacked", "MaxUploadBytes", new RawZip.Entry("model.onnx.data", Noise(5 << 20)) { Deflated = false }) with { Options = Small },
        HostileUpload.Entries("larger than the upload may be", "MaxUploadBytes", [.. Enumerable.Range(0, 5).Select(i => new RawZip.Entry($"{i}.data", new byte[1 << 20]))]) with { Options = Small },
        HostileUpload.Entries("too many entries", "MaxFiles", [.. Enumerable.Range(0, 100).Select(i => new RawZip.Entry($"{i}.data", []))]) with { Options = Small },
        HostileUpload.Entries("length that is too long", "not what its header says", new RawZip.Entry("manifest.json", Json) { Length = 1000 }),
        HostileUpload.Entries("wrong checksum", "not what its header says", new RawZip.Entry("manifest.json", Json) { Crc = 1 }),
        HostileUpload.Entries("stored with two sizes", "not what its header says", new RawZip.Entry("manifest.json", Json) { Deflated = false, Length = 1 }),
        HostileUpload.Entries("broken compression", "manifest.json", new RawZip.Entry("manifest.json", Noise(100)) { Deflated = false, Method = 8 }),
        HostileUpload.Entries("text that is too long", "MaxTextBytes", new RawZip.Entry("vocab.json", HostileUpload.Text("{" + new string(' ', 1 << 20)))) with { Options = new() { MaxTextBytes = 1 << 18 } },
    ];

    private static IEnumerable<HostileUpload> Forms =>
    [
        HostileUpload.Archive("no archive", "not a zip archive", () => Noise(1000)),
        HostileUpload.Archive("empty file", "not a zip archive", () => []),
        HostileUpload.Archive("empty archive", "no entries", () => new RawZip().Finish()),
        HostileUpload.Archive("cut off", "not a zip archive", () => RawZip.Of(StoreFolder.Patch)[..^30]),
        HostileUpload.Archive("beginning cut off", "central directory", () => RawZip.Of(StoreFolder.Patch)[10..]),
        HostileUpload.Archive("program before the archive", "central directory", () => [0x7F, (byte)'E', (byte)'L', (byte)'F', .. RawZip.Of(StoreFolder.Patch)]),
        HostileUpload.Archive("bytes behind the archive", "not a zip archive", () => [.. RawZip.Of(StoreFolder.Patch), 1, 2, 3]),
        HostileUpload.Archive("hidden bytes", "belong to no entry", () => new RawZip().Add(Good).Gap(Noise(50)).Add(new RawZip.Entry("manifest.json", Json)).Finish()),
        HostileUpload.Archive("hidden entry", "the end record begins", () => Hidden()),
        HostileUpload.Archive("overlapping entries", "overlaps", () => new RawZip().Add([.. Good, Good[0] with { Header = 0 }]).Finish()),
        HostileUpload.Archive("entry in the directory", "ends at byte", () => RawZip.Of(StoreFolder.Patch, new RawZip.Entry("manifest.json", Json) { Packed = 100_000 })),
        HostileUpload.Archive("entry beyond the archive", "no header", () => RawZip.Of(StoreFolder.Patch, new RawZip.Entry("manifest.json", Json) { Header = 1 << 30 })),
        HostileUpload.Entries("two names", "another name", new RawZip.Entry("manifest.json", Json) { LocalName = "manifest.exec" }),
        HostileUpload.Entries("two lengths", "another size", new RawZip.Entry("manifest.json", Json) { LocalLength = 1 }),
        HostileUpload.Entries("second name in a field", "second name", new RawZip.Entry("manifest.json", Json) { Extra = [0x75, 0x70, 1, 0, 0] }),
        HostileUpload.Entries("field that is too long", "extra field", new RawZip.Entry("manifest.json", Json) { Extra = [1, 2, 200, 0] }),
        HostileUpload.Entries("sizes of 64 bits", "Zip64", new RawZip.Entry("manifest.json", Json) { Extra = [1, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8] }),
        HostileUpload.Entries("descriptor that is not there", "descriptor", new RawZip.Entry("manifest.json", Json) { Flags = 8 }),
        HostileUpload.Archive("fewer entries than it says", "ends before its last", () => new RawZip().Add(Good).Finish(count: 9)),
        HostileUpload.Archive("more entries than it says", "and its 1 entries take", () => new RawZip().Add(Good).Finish(count: 1)),
        HostileUpload.Archive("part of several", "part of several", () => new RawZip().Add(Good).Finish(disk: 1)),
        HostileUpload.Archive("directory elsewhere", "central directory", () => new RawZip().Add(Good).Finish(start: 0)),
    ];

    private static RawZip.Entry[] Good => [.. StoreFolder.Patch.Select(file => new RawZip.Entry(file.Key, file.Value))];

    private static HostileUpload Named(string kind, string name, string says) => HostileUpload.Entries(kind, says, new RawZip.Entry(name, Json));

    // A whole archive precedes the valid one. Its offsets count from the start of the second archive, as some programs write them.
    private static byte[] Hidden() => [.. RawZip.Of([new("manifest.json", Encoding.UTF8.GetBytes("{}"))]), .. RawZip.Of(StoreFolder.Patch)];

    private static byte[] Noise(int count)
    {
        byte[] bytes = new byte[count];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
