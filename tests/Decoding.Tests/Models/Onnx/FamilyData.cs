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

    /// <summary>The names of the folders whose logits must be equal.</summary>
    public static TheoryData<string> Names => [.. Find(isEqual: true)];

    /// <summary>The names of the folders that must be refused.</summary>
    public static TheoryData<string> Refused => [.. Find(isEqual: false)];

    public string Folder { get; }

    public IReadOnlyList<FamilyCase> Cases { get; }

    /// <summary>The path of a folder; skips the test if there is none.</summary>
    public static string PathOf(string name)
    {
        Skip.If(name == None, "The data beside the checkout have no such folder in shared/data/families.");
        return Path.Combine(SharedData.Folder("families")!, name);
    }

    /// <summary>Reads a folder; skips the test if there is none.</summary>
    public static FamilyData Read(string name)
    {
        string folder = PathOf(name);
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

    // expected.txt says whether the logits must be equal or the checkpoint must be refused.
    private static IEnumerable<string> Find(bool isEqual)
    {
        string? root = SharedData.Folder("families");
        string[] folders = root is null ? [] : [.. Directory.GetDirectories(root).Where(folder => IsEqual(folder) == isEqual)];
        return folders.Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal).DefaultIfEmpty(None);

        static bool IsEqual(string folder) => !File.Exists(Path.Combine(folder, "expected.txt"))
            ? File.Exists(Reference(folder))
            : File.ReadAllText(Path.Combine(folder, "expected.txt")).StartsWith("equal", StringComparison.Ordinal);
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
