using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Checkpoints of real families with the logits and greedy tokens that transformers computes from them. Each folder of shared/data/families is one.</summary>
internal sealed class FamilyData
{
    /// <summary>The row of <see cref="Names"/> where there is no data.</summary>
    public const string None = "(no data)";

    /// <summary>Below this margin of the two largest logits, a different greedy token is rounding.</summary>
    public const double Margin = 5e-4;

    private FamilyData(string folder, IReadOnlyList<FamilyCase> cases) => (Folder, Cases) = (folder, cases);

    /// <summary>The names of the folders that hold a reference.</summary>
    public static TheoryData<string> Names
    {
        get
        {
            string? root = SharedData.Folder("families");
            string[] names = root is null ? [] : [.. Directory.GetDirectories(root).Where(folder => File.Exists(Reference(folder))).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];
            return [.. names.DefaultIfEmpty(None)];
        }
    }

    public string Folder { get; }

    public IReadOnlyList<FamilyCase> Cases { get; }

    /// <summary>Reads a folder; skips the test if there is none.</summary>
    public static FamilyData Read(string name)
    {
        Skip.If(name == None, "There is no folder shared/data/families beside the checkout.");
        string folder = Path.Combine(SharedData.Folder("families")!, name);
        using SafetensorsFile file = SafetensorsFile.Open(Reference(folder));
        List<FamilyCase> cases = [];
        for (int k = 0; file.Tensors.ContainsKey($"input_ids.{k}"); k++)
        {
            float[] logits = file.ReadFloat32($"logits.{k}");
            int[] ids = Integers(file, $"input_ids.{k}");
            bool continues = file.Tensors.ContainsKey($"greedy.{k}");
            cases.Add(new(ids, [.. logits.Chunk(logits.Length / ids.Length)], continues ? Integers(file, $"greedy.{k}") : [], continues ? file.ReadFloat32($"margin.{k}") : []));
        }

        return new(folder, cases);
    }

    /// <summary>The largest difference of two numbers at the same place.</summary>
    public static double Difference(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        return expected.Zip(actual, (e, a) => e.Zip(a, (x, y) => Math.Abs((double)x - y)).Max()).Max();
    }

    private static string Reference(string folder) => Path.Combine(folder, "reference.safetensors");

    private static int[] Integers(SafetensorsFile file, string name)
    {
        SafetensorsTensor tensor = file.Tensors[name];
        byte[] bytes = File.ReadAllBytes(file.Path)[(int)tensor.Offset..][..(int)tensor.Length];
        return [.. Enumerable.Range(0, (int)tensor.ElementCount).Select(i => (int)BitConverter.ToInt64(bytes, i * sizeof(long)))];
    }
}

/// <summary>One prompt of a reference.</summary>
/// <param name="Logits">One row for each position of the prompt.</param>
/// <param name="Greedy">The tokens after the prompt. Each one comes from a full pass over all tokens before it. Some cases have none.</param>
/// <param name="Margins">The difference of the two largest logits, for each of these tokens.</param>
internal sealed record FamilyCase(int[] Ids, float[][] Logits, int[] Greedy, float[] Margins);
