using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Patches;

public sealed class PatchManifestTests : IDisposable
{
    private static readonly string Hash = new('a', 64);

    private readonly string folder = Directory.CreateTempSubdirectory("manifest-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Write_EveryField_ReadsBack()
    {
        PatchManifest manifest = new()
        {
            Base = new("town-base", Hash, Hash),
            Rank = 8,
            Alpha = 16,
            Targets = ["q_proj"],
            Data = new("town:qa/train", Hash),
            ValidationLoss = 0.25,
            Scores = [new("town:qa/test", 3, 4)],
            Probe = new([1, 0], [0.1f, -2]),
        };

        manifest.Write(folder);
        PatchManifest read = PatchManifest.TryRead(folder)!;

        Assert.Equivalent(manifest, read, strict: true);
        Assert.Equal(0.1f, read.Probe!.Logits![0]);
    }

    [Fact]
    public void Read_NoFile_IsNull() => Assert.Null(PatchManifest.TryRead(folder));

    [Fact]
    public void Read_EmptyObject_HasNoValues() => Assert.Null(Read("{}").Rank);

    [Theory]
    [InlineData("null", "content")]
    [InlineData("[]", "manifest.json")]
    [InlineData("{", "manifest.json")]
    [InlineData("""{ "rnk": 8 }""", "rnk")]
    [InlineData("""{ "base": { "wights": "" } }""", "wights")]
    [InlineData("""{ "base": { "weights": "1234" } }""", "base.weights is 1234")]
    [InlineData("""{ "base": { "tokenizer": "" } }""", "base.tokenizer")]
    [InlineData("""{ "data": { "hash": "x" } }""", "data.hash is x")]
    [InlineData("""{ "rank": 0 }""", "rank is 0; accepted is 1 or more")]
    [InlineData("""{ "alpha": 1e999 }""", "alpha")]
    [InlineData("""{ "validation_loss": -1 }""", "validation_loss is -1")]
    [InlineData("""{ "scores": [null] }""", "scores[0].task is missing")]
    [InlineData("""{ "scores": [{ "task": "a", "right": 3, "total": 2 }] }""", "scores[0].right is 3; accepted is 0 to 2")]
    [InlineData("""{ "scores": [{ "task": "a", "right": 0, "total": 0 }] }""", "scores[0].total is 0")]
    [InlineData("""{ "probe": { "tokens": [], "logits": [1] } }""", "probe.tokens")]
    [InlineData("""{ "probe": { "tokens": [-1], "logits": [1] } }""", "probe.tokens is [-1]")]
    [InlineData("""{ "probe": { "tokens": [1], "logits": [1] } }""", "probe.tokens is [1]; accepted is one token id or more, each within the row")]
    [InlineData("""{ "probe": { "tokens": [1] } }""", "logits")]
    [InlineData("""{ "probe": { "tokens": [1], "logits": [1e99] } }""", "probe.logits")]
    public void Read_WrongContent_NamesFileAndField(string content, string expected)
    {
        EngineException error = Assert.Throws<EngineException>(() => Read(content));

        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains("manifest.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "rank": 3, "targets": ["v_proj", "q_proj"] }""", null)]
    [InlineData("""{ "rank": 8 }""", "rank is 8; accepted is the patch's, 3")]
    [InlineData("""{ "targets": ["q_proj"] }""", "targets is q_proj; accepted is the patch's, q_proj, v_proj")]
    public void CheckFits_ManifestOfAnotherPatch_NamesTheField(string content, string? expected)
    {
        TinyModel.WriteCheckpoint(Path.Combine(folder, "model"));
        TinyPatch.Write(folder, Path.Combine(folder, "model"), seed: 1, "q_proj", "v_proj");
        PatchManifest manifest = Read(content);

        Exception? error = Record.Exception(() => manifest.CheckFits(LowRankPatch.Read(folder)));

        Assert.Equal(expected is null, error is null);
        Assert.Contains(expected ?? "", error?.Message ?? "", StringComparison.Ordinal);
    }

    private PatchManifest Read(string content)
    {
        File.WriteAllText(Path.Combine(folder, FileNames.Manifest), content);
        return PatchManifest.TryRead(folder)!;
    }
}
