using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Patches;

/// <summary>Compares W + sum of w (alpha / r) B A with dense sums in plain loops.</summary>
public sealed class PatchMergeTests : IDisposable
{
    private const string Query = "model.layers.1.self_attn.q_proj.weight";
    private static readonly int[] Ids = [7, 30, 12, 9, 41, 100];

    private readonly string folder = Directory.CreateTempSubdirectory("patches-").FullName;
    private readonly string model;
    private readonly string first;
    private readonly string second;

    public PatchMergeTests()
    {
        (model, first, second) = (In("model"), In("first"), In("second"));
        TinyModel.Write(model);
        TinyPatch.Write(first, model, 1, TinyPatch.Modules);
        TinyPatch.Write(second, model, 2, "q_proj", "down_proj");
    }

    public static TheoryData<string, Action<JsonObject>, string[]> WrongConfigs => new()
    {
        { "other method", config => config["peft_type"] = "IA3", ["peft_type is IA3", "LORA"] },
        { "no method", config => config.Remove("peft_type"), ["peft_type is missing"] },
        { "no rank", config => config.Remove("r"), ["r is missing", "at least 1"] },
        { "rank of nothing", config => config["r"] = 0, ["r is 0", "at least 1"] },
        { "other rank", config => config["r"] = 4, ["lora_A is [3, 48]", "r = 4"] },
        { "no alpha", config => config.Remove("lora_alpha"), ["lora_alpha is missing"] },
        { "wrong type", config => config["r"] = "many", ["$.r"] },
        { "biases", config => config["bias"] = "all", ["bias is all", "none"] },
        { "whole modules", config => config["modules_to_save"] = new JsonArray("lm_head"), ["modules_to_save is", "lm_head"] },
        { "rank of a module", config => config["rank_pattern"] = new JsonObject { ["q_proj"] = 8 }, ["q_proj", "r = 8"] },
        { "rank that is none", config => config["rank_pattern"] = new JsonObject { ["q_proj"] = 2.5 }, ["rank_pattern gives 'q_proj' 2.5", "at least 1"] },
        { "alpha that is none", config => config["alpha_pattern"] = new JsonObject { ["q_proj"] = "much" }, ["alpha_pattern gives 'q_proj' much", "finite"] },
        { "no expression", config => config["rank_pattern"] = new JsonObject { ["q_proj("] = 3 }, ["rank_pattern has 'q_proj('"] },
        { "expression that may take for ever", config => config["alpha_pattern"] = new JsonObject { ["(a)\\1"] = 3 }, ["alpha_pattern has", "without backtracking"] },
        { "no patterns", config => config["alpha_pattern"] = new JsonArray(3), ["alpha_pattern is [3]"] },
        { "magnitudes", config => config["use_dora"] = true, ["use_dora is true"] },
        { "transposed", config => config["fan_in_fan_out"] = true, ["fan_in_fan_out is true"] },
    };

    [Theory]
    [InlineData(0.6, 0.4)]
    [InlineData(1, -2)]
    [InlineData(0, 1)]
    public void Export_TwoPatches_GivesTheLogitsOfTheDenseSums(double one, double other)
    {
        CheckpointExporter.Export(model, In("merged"), [Patch(first, one), Patch(second, other)]);

        TinyPatch.WriteDense(In("dense"), model, (first, one), (second, other));
        double[][] expected = new SlowLlama(In("dense")).Logits(Ids);
        float[][] actual = RawDecoder.Logits(In("merged"), Ids);
        for (int i = 0; i < Ids.Length; i++)
        {
            double tolerance = 1e-5 * expected[i].Max(Math.Abs);
            Assert.All(expected[i].Zip(actual[i]), pair => Assert.Equal(pair.First, pair.Second, tolerance));
        }

        double[] untouched = new SlowLlama(model).Logits(Ids)[^1];
        Assert.True(untouched.Zip(expected[^1]).Max(pair => Math.Abs(pair.First - pair.Second)) > 0.01);
    }

    [Fact]
    public void Export_WeightZero_EqualsTheModel()
    {
        CheckpointExporter.Export(model, In("merged"), [Patch(first, 0), Patch(second, 0)]);

        Assert.Equal(Bytes(model), Bytes(In("merged")));
    }

    [Fact]
    public void Export_PatchesInAnyOrder_GiveTheSameMerge()
    {
        CheckpointExporter.Export(model, In("merged"), [Patch(first, 0.3), Patch(second, 0.7)]);
        CheckpointExporter.Export(model, In("reversed"), [Patch(second, 0.7), Patch(first, 0.3)]);

        Assert.Equal(Bytes(In("merged")), Bytes(In("reversed")));
        Assert.NotEqual(Bytes(model), Bytes(In("merged")));
    }

    [Fact]
    public void Read_RankStabilised_ScalesByTheRoot()
    {
        TinyPatch.WriteConfig(first, config => config["use_rslora"] = true);

        Assert.Equal(TinyPatch.Alpha / Math.Sqrt(TinyPatch.Rank), LowRankPatch.Read(first).Scale, 1e-12);
    }

    [Fact]
    public void Read_Patterns_GiveModulesTheirOwnRanksAndScales()
    {
        (string, int[], float[])[] Pair(string target, int rank) =>
            [(TinyPatch.Key(target, "lora_A"), [rank, 32], new float[rank * 32]), (TinyPatch.Key(target, "lora_B"), [64, rank], new float[64 * rank])];
        const string Other = "model.layers.0.self_attn.q_proj.weight", Key = "model.layers.0.self_attn.k_proj.weight", Up = "model.layers.0.mlp.up_proj.weight";
        SafetensorsFile.Write(Path.Combine(first, TinyPatch.WeightsFile), [.. Pair(Query, 4), .. Pair(Other, 5), .. Pair(Key, 3), .. Pair(Up, 3)]);
        TinyPatch.WriteConfig(first, config =>
        {
            config["rank_pattern"] = new JsonObject { ["layers.1.self_attn.q_proj"] = 4, ["q_proj"] = 5, ["self_attn"] = 9 };
            config["alpha_pattern"] = new JsonObject { [@"layers\.\d+\.self_attn\.[qk]_proj"] = 12, ["p_proj"] = 1 };
        });

        LowRankPatch patch = LowRankPatch.Read(first);

        Assert.Equal([12.0 / 4, 12.0 / 5, 12.0 / 3, TinyPatch.Alpha / 3], new[] { Query, Other, Key, Up }.Select(target => patch.Pair(target)!.Scale));
    }

    [Theory]
    [MemberData(nameof(WrongConfigs))]
    public void Read_WrongConfig_NamesFileAndField(string what, Action<JsonObject> change, string[] words)
    {
        TinyPatch.WriteConfig(second, change);

        Refused(() => LowRankPatch.Read(second), what, [Path.Combine("second", "adapter_"), .. words]);
    }

    [Fact]
    public void Read_WrongTensors_NamesFileAndTensor()
    {
        (string, int[], float[]) a = (TinyPatch.Key(Query, "lora_A"), [3, 32], new float[96]), b = (TinyPatch.Key(Query, "lora_B"), [64, 3], new float[192]);
        Wrong("without A", [b], ["'model.layers.1.self_attn.q_proj'", "no 'base_model", "lora_A"]);
        Wrong("without B", [a], ["'model.layers.1.self_attn.q_proj'", "no 'base_model", "lora_B"]);
        Wrong("NaN", [a, (b.Item1, b.Item2, [.. Enumerable.Repeat(0f, 191), float.NaN])], ["lora_B", "NaN"]);
        Wrong("other rank", [a, (b.Item1, [32, 6], b.Item3)], ["lora_B [32, 6]", "r = 3"]);
        Wrong("one dimension", [a, (b.Item1, [192], b.Item3)], ["lora_B", "[192]"]);
        Wrong("more than pairs", [a, b, ("base_model.model.lm_head.weight", [1], [0])], ["'base_model.model.lm_head.weight'", "neither"]);
        Wrong("nothing", [], ["no tensors"]);
        File.Delete(Path.Combine(second, TinyPatch.WeightsFile));
        Refused(() => LowRankPatch.Read(second), "no file", ["second", TinyPatch.WeightsFile, "no such file"]);
        File.Delete(Path.Combine(second, TinyPatch.ConfigFile));
        Refused(() => LowRankPatch.Read(second), "no config", ["second", TinyPatch.ConfigFile]);

        void Wrong(string what, (string, int[], float[])[] tensors, string[] words)
        {
            SafetensorsFile.Write(Path.Combine(second, TinyPatch.WeightsFile), tensors);
            Refused(() => LowRankPatch.Read(second), what, [Path.Combine("second", TinyPatch.WeightsFile), .. words]);
        }
    }

    [Fact]
    public void Export_PatchThatDoesNotFit_IsRefusedAndNothingIsWritten()
    {
        TinyModel.Write(In("wide"), new() { Hidden = 48 });
        TinyModel.Write(In("deep"), new() { Layers = 3 });
        TinyPatch.Write(In("of wide"), In("wide"), 1, "down_proj");
        TinyPatch.Write(In("of deep"), In("deep"), 1, "q_proj");

        Refused(() => Merge(Patch(In("of wide"), 1)), "shape", ["of wide", "mlp.down_proj.weight' is changed as [48, 48]", "[32, 48]"]);
        Refused(() => Merge(Patch(In("of deep"), 1)), "layer", ["of deep", "'model.layers.2.self_attn.q_proj.weight' is changed, but the model has no such weight"]);
        Refused(() => Merge(Patch(first, double.NaN)), "weight", ["'first'", "NaN", "finite"]);
        Refused(() => Merge(Patch(first, 1e300)), "overflow", ["first 1E+300", "overflow"]);
        Refused(() => Merge(Patch(first, 1), Patch(first, 2)), "twice", ["first", "2 times"]);
        Assert.False(File.Exists(Path.Combine(In("merged"), "model.safetensors")));

        void Merge(params WeightedPatch[] patches) => CheckpointExporter.Export(model, In("merged"), patches);
    }

    [Theory]
    [InlineData("town-qa", "town-small-qa")]
    [InlineData("town-polite", "town-small-polite")]
    [InlineData("town-reticent", "town-small-reticent")]
    public void Export_ShippedPatchOfWeightOne_EqualsTheShippedExpert(string patch, string expert)
    {
        CheckpointExporter.Export(Path.Combine(Repository.Models, "town-small"), In("merged"), [Patch(Path.Combine(Repository.Models, "patches", patch), 1)]);

        using SafetensorsFile merged = SafetensorsFile.Open(Path.Combine(In("merged"), "model.safetensors"));
        using SafetensorsFile shipped = SafetensorsFile.Open(Path.Combine(Repository.Models, expert, "model.safetensors"));
        Assert.All(shipped.Tensors.Keys, name => Assert.All(
            shipped.ReadFloat32(name).Zip(merged.ReadFloat32(name)), pair => Assert.Equal(pair.First, pair.Second, 1e-6)));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static void Refused(Action action, string what, string[] words)
    {
        EngineException error = Assert.Throws<EngineException>(action);
        Assert.True(error.Error is EngineError.InvalidModelFolder or EngineError.InvalidValue, what);
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
    }

    private static WeightedPatch Patch(string path, double weight) => new(LowRankPatch.Read(path), weight);

    private static byte[] Bytes(string model) => File.ReadAllBytes(Path.Combine(model, "model.safetensors"));

    private string In(string name) => Path.Combine(folder, name);
}
