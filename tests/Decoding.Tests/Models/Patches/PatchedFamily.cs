using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>A model whose sequences may have patches, and for each patch a model with merged weights as the slow reference.</summary>
internal sealed class PatchedFamily : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("patched-").FullName;
    private readonly Dictionary<string, OnnxLanguageModel> merged = [];

    public PatchedFamily(TinyModelOptions? options = null)
    {
        TinyModel.Write(Checkpoint, options);
        Model = OnnxLanguageModel.Load(Checkpoint, new());
    }

    public OnnxLanguageModel Model { get; }

    public string Checkpoint => Path.Combine(folder, "model");

    public LowRankPatch Patch(int seed, int rank, params string[] modules)
    {
        string path = Path.Combine(folder, $"patch-{seed}-{rank}-{string.Concat(modules)}");
        TinyPatch.WriteRank(path, Checkpoint, seed, rank, modules);
        return LowRankPatch.Read(path);
    }

    public static PatchSum Sum(params (LowRankPatch Patch, double Weight)[] patches) => new(patches.Select(patch => new WeightedPatch(patch.Patch, patch.Weight)));

    /// <summary>The rows of the newest positions of a fresh sequence of the merged model.</summary>
    public float[][] Expected(PatchSum? patch, int[] tokens, int rows = 1)
    {
        if (patch is null)
        {
            return Rows.Fresh(Model, tokens, rows);
        }

        if (!merged.TryGetValue(patch.Hash, out OnnxLanguageModel? model))
        {
            string target = Path.Combine(folder, patch.Hash);
            CheckpointExporter.Export(Checkpoint, target, patch.Patches);
            merged[patch.Hash] = model = OnnxLanguageModel.Load(target, new());
        }

        return Rows.Fresh(model, tokens, rows);
    }

    public static void AssertClose(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int row = 0; row < expected.Length; row++)
        {
            float tolerance = 1e-4f * expected[row].Max(MathF.Abs);
            Assert.All(expected[row].Zip(actual[row]), pair => Assert.Equal(pair.First, pair.Second, tolerance));
        }
    }

    /// <summary>Checks that a patch changes the rows. A patch without effect would pass every comparison.</summary>
    public static void AssertFar(float[] one, float[] other) =>
        Assert.True(one.Zip(other).Max(pair => MathF.Abs(pair.First - pair.Second)) > 0.01 * one.Max(MathF.Abs), "The patch changes the rows too little for a comparison.");

    public void Dispose()
    {
        Model.Dispose();
        foreach (OnnxLanguageModel model in merged.Values)
        {
            model.Dispose();
        }

        Directory.Delete(folder, recursive: true);
    }
}
