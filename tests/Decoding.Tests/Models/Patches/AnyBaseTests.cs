using System.Security.Cryptography;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Compares patches on graphs of other tools with plain loops over dense sums.</summary>
public sealed class AnyBaseTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("any-base-").FullName;

    public static TheoryData<BuilderForm> Forms() => [.. new BuilderForm[]
    {
        new(BuilderWeights.Plain), new(BuilderWeights.Plain, IsPacked: true, Bias: BuilderBias.Add), new(BuilderWeights.Plain, IsHalf: true),
        new(BuilderWeights.Plain, IsHalf: true, IsPacked: true, Bias: BuilderBias.Add), new(BuilderWeights.Transposed), new(BuilderWeights.Transposed, IsHalf: true),
        new(BuilderWeights.Fused, IsPacked: true), new(BuilderWeights.Gemm, Bias: BuilderBias.Input), new(BuilderWeights.Gemm, IsHalf: true, IsPacked: true),
        new(BuilderWeights.EightBits, IsPacked: true), new(BuilderWeights.EightBits, IsHalf: true, Bias: BuilderBias.Add),
        new(BuilderWeights.FourBits), new(BuilderWeights.FourBits, IsPacked: true, Bias: BuilderBias.Input), new(BuilderWeights.FourBits, Bias: BuilderBias.Add),
        new(BuilderWeights.FourBits, IsHalf: true, IsPacked: true, Bias: BuilderBias.Input), new(BuilderWeights.FourBitsDequantized), new(BuilderWeights.FourBitsDequantized, IsHalf: true, IsPacked: true),
    }];

    [Theory]
    [MemberData(nameof(Forms))]
    public void Forward_MixedRows_EqualDenseSumsInPlainLoops(BuilderForm form)
    {
        using BuilderModel built = new(form);
        string before = Hashes(built.Folder);
        (PatchSum? Patch, SlowLlama Oracle)[] members =
        [
            (null, new(built.Checkpoint)), Member(built, 1, 3, "q_proj", "v_proj"), Member(built, 2, 64, TinyPatch.Modules), Member(built, 3, 1, "k_proj", "gate_proj", "down_proj"),
            Member(built, 4, 4, isRootScaled: true, "o_proj", "up_proj"),
        ];
        using (OnnxLanguageModel model = OnnxLanguageModel.Load(built.Folder, new()))
        {
            List<int>[] texts = [.. members.Select((_, i) => Rows.Random(i, 5 + i, TinyTokenizer.Size).ToList())];
            Sequence[] sequences = [.. members.Select((member, i) => model.Start(Prompt.For(model, texts[i].ToArray(), member.Patch)))];
            Compare(Rows.Forward(model, [.. sequences.Select(sequence => new Segment(sequence, default))]));
            for (int step = 0; step < 3; step++)
            {
                texts.ToList().ForEach(text => text.Add(7 + step));
                Compare(Rows.Forward(model, [.. sequences.Select(sequence => new Segment(sequence, new[] { 7 + step }))]));
            }

            Assert.Equal(3, model.PatchedRuns - (members.Length - 1));

            void Compare(float[][] rows)
            {
                for (int i = 0; i < members.Length; i++)
                {
                    double[] expected = members[i].Oracle.Logits(texts[i])[^1];

                    // Rounding to float16 at every node causes an error of 0.002 here.
                    double allowed = (form.IsHalf ? 5e-3 : 1e-5) * expected.Max(Math.Abs);
                    Assert.All(expected.Zip(rows[i]), pair => Assert.Equal(pair.First, pair.Second, allowed));
                }
            }
        }

        Assert.Equal(before, Hashes(built.Folder));
    }

    [Fact]
    public void Forward_ModulesWithOwnScales_EqualDenseSumsInPlainLoops()
    {
        using BuilderModel built = new(new(BuilderWeights.Plain, IsPacked: true));
        string patch = Path.Combine(folder, "patch"), more = Path.Combine(folder, "more"), once = Path.Combine(folder, "once"), dense = Path.Combine(folder, "dense"), merged = Path.Combine(folder, "merged");
        TinyPatch.Write(patch, built.Checkpoint, 1, TinyPatch.Modules);
        TinyPatch.WriteDense(once, built.Checkpoint, (patch, 1));

        // Three times alpha adds twice the update again, for the keys only.
        CopyModule("k_proj", patch, more);
        TinyPatch.WriteDense(dense, once, (more, 2));
        TinyPatch.WriteConfig(patch, config => config["alpha_pattern"] = new JsonObject { ["k_proj"] = 3 * TinyPatch.Alpha });
        PatchSum sum = PatchedFamily.Sum((LowRankPatch.Read(patch), 1));
        CheckpointExporter.Export(built.Checkpoint, merged, sum.Patches);
        using OnnxLanguageModel model = OnnxLanguageModel.Load(built.Folder, new()), other = OnnxLanguageModel.Load(merged, new());

        int[] text = [7, 30, 12, 9];
        float[][] expected = [[.. new SlowLlama(dense).Logits(text)[^1].Select(logit => (float)logit)]];
        using Sequence sequence = model.Start(Prompt.For(model, text, sum));
        PatchedFamily.AssertClose(expected, Rows.Forward(model, new Segment(sequence, default)));
        PatchedFamily.AssertClose(expected, Rows.Fresh(other, text));
    }

    /// <summary>Checks that the builder's folders are valid models.</summary>
    [Theory]
    [InlineData(BuilderWeights.Plain)]
    [InlineData(BuilderWeights.FourBits)]
    [InlineData(BuilderWeights.FourBitsDequantized)]
    public void Builder_Folder_LoadsInGenAi(BuilderWeights weights)
    {
        using BuilderModel built = new(new(weights, IsPacked: true, Bias: BuilderBias.Add));
        Assert.Equal(new SlowLlama(built.Checkpoint).Greedy([7, 30, 12], 5), GenAiReference.Greedy(built.Folder, [7, 30, 12], 5));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private (PatchSum Patch, SlowLlama Oracle) Member(BuilderModel built, int seed, int rank, params string[] modules) => Member(built, seed, rank, false, modules);

    private (PatchSum Patch, SlowLlama Oracle) Member(BuilderModel built, int seed, int rank, bool isRootScaled, params string[] modules)
    {
        string path = Path.Combine(folder, $"patch-{seed}"), dense = path + "-dense";
        TinyPatch.WriteRank(path, built.Checkpoint, seed, rank, modules);
        TinyPatch.WriteConfig(path, config => (config["r"], config["use_rslora"]) = (rank, isRootScaled));

        // alpha / sqrt(r) is sqrt(r) times alpha / r.
        TinyPatch.WriteDense(dense, built.Checkpoint, (path, isRootScaled ? 0.5 * Math.Sqrt(rank) : 0.5));
        return (PatchedFamily.Sum((LowRankPatch.Read(path), 0.5)), new(dense));
    }

    private static void CopyModule(string module, string from, string to)
    {
        Directory.CreateDirectory(to);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(from, TinyPatch.WeightsFile));
        SafetensorsFile.Write(
            Path.Combine(to, TinyPatch.WeightsFile),
            file.Tensors.Values.Where(tensor => tensor.Name.Contains($".{module}.", StringComparison.Ordinal)).Select(tensor => (tensor.Name, tensor.Shape.ToArray(), file.ReadFloat32(tensor.Name))));
    }

    private static string Hashes(string folder) =>
        string.Join('\n', Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(file => $"{file} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}"));
}
