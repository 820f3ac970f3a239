using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Folders that other tools wrote, with the logits of their graphs. A case is a folder with <c>reference.safetensors</c> and <c>expected.txt</c>.</summary>
public sealed class PublishedFoldersTests
{
    private const string None = "";
    private const float Tolerance = 2e-4f;

    public static TheoryData<string> Cases() => [.. Found().DefaultIfEmpty(None)];

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Load_PublishedFolder_GivesTheReferencesLogitsOrIsRefused(string name)
    {
        Skip.If(name == None, "There are no published folders in the reference data.");
        string folder = Path.Combine(SharedData.Folder("")!, name);
        bool mayBeRefused = File.ReadAllText(Path.Combine(folder, "expected.txt")).Contains("refused", StringComparison.Ordinal);
        OnnxLanguageModel model;
        try
        {
            model = OnnxLanguageModel.Load(folder, new());
        }
        catch (EngineException error) when (mayBeRefused)
        {
            Assert.Equal(EngineError.InvalidModelFolder, error.Error);
            return;
        }

        using (model)
        {
            // Sums of float16 depend on their order.
            using DecoderGraph graph = DecoderGraph.Load(folder, new());
            float tolerance = ProbeTolerance.Of(graph.Model) == ProbeTolerance.Half ? (float)ProbeTolerance.Half : Tolerance;
            ReferenceTensors reference = new(Path.Combine(folder, "reference.safetensors"));
            foreach (string case_ in reference.Names.Where(each => each.StartsWith("input_ids", StringComparison.Ordinal)))
            {
                int[] tokens = reference.Integers(case_);
                float[][] expected = reference.Rows(case_.Replace("input_ids", "logits", StringComparison.Ordinal));
                Whole(model, tokens, expected, tolerance);

                // Where activations are rounded to 8 bits, the least difference may round them to another step.
                bool rounds = ProbeTolerance.RoundsActivations(graph.Model);
                InPieces(model, tokens, expected, rounds ? (float)ProbeTolerance.Rounded * Math.Max(1, expected.Max(row => row.Max(MathF.Abs))) : tolerance);
            }
        }
    }

    private static void Whole(OnnxLanguageModel model, int[] tokens, float[][] expected, float tolerance)
    {
        // Some graphs compute only the row of the last position.
        int rows = expected.Length == tokens.Length ? tokens.Length : 1;
        try
        {
            Rows.AssertEqual(expected[^rows..], Fresh(model, tokens, rows), tolerance);
        }
        catch (EngineException) when (rows > 1)
        {
            Rows.AssertEqual(expected[^1..], Fresh(model, tokens, 1), tolerance);
        }
    }

    /// <summary>A prompt, a piece of several tokens, then single tokens with other sequences beside.</summary>
    private static void InPieces(OnnxLanguageModel model, int[] tokens, float[][] expected, float tolerance)
    {
        int first = tokens.Length / 3, second = tokens.Length * 2 / 3;
        int all = tokens.Length;
        using Sequence sequence = model.Start(Prompt.For(model, tokens.AsMemory(0, first)) with { MaxAppended = all - first }), other = model.Start(Prompt.For(model, tokens.AsMemory(0, 2)) with { MaxAppended = all - 2 });
        Rows.Forward(model, new Segment(sequence, default), new Segment(other, default));
        float[] row = Rows.Forward(model, new Segment(sequence, tokens.AsMemory(first, second - first)))[0];
        if (expected.Length == tokens.Length)
        {
            Rows.AssertEqual([expected[second - 1]], [row], tolerance);
        }

        for (int i = second; i < tokens.Length; i++)
        {
            row = Rows.Forward(model, new Segment(sequence, tokens.AsMemory(i, 1)), new Segment(other, tokens.AsMemory(i, 1)))[0];
            if (expected.Length == tokens.Length)
            {
                Rows.AssertEqual([expected[i]], [row], tolerance);
            }
        }

        Rows.AssertEqual(expected[^1..], [row], tolerance);
    }

    /// <summary>The rows of a text that ends there, since some models read longer texts in another way.</summary>
    private static float[][] Fresh(OnnxLanguageModel model, int[] tokens, int rows)
    {
        using Sequence sequence = model.Start(Prompt.For(model, tokens) with { MaxAppended = 0 });
        return Rows.Forward(model, new Segment(sequence, default, rows));
    }

    private static IEnumerable<string> Found() =>
        from kind in new[] { "genai", "optimum" }
        where SharedData.Folder(kind) is not null
        from folder in Directory.EnumerateDirectories(SharedData.Folder(kind)!).Order(StringComparer.Ordinal)
        where File.Exists(Path.Combine(folder, "reference.safetensors")) && File.Exists(Path.Combine(folder, "expected.txt"))
        select $"{kind}/{Path.GetFileName(folder)}";
}
