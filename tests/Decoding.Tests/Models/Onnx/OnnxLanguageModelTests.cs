using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class OnnxLanguageModelTests : IDisposable
{
    private const float Tolerance = 2e-5f;
    private readonly string folder = Directory.CreateTempSubdirectory("proxytune-onnx-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    public static TheoryData<string> Dialects => ["shared", "plain", "half", "external", "last-row"];

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Forward_AnyDialect_EqualsPlainAttentionFromScratch(string dialect)
    {
        using OnnxLanguageModel reference = Load("plain");
        using OnnxLanguageModel model = Load(dialect);
        float tolerance = dialect == "half" ? 0.02f : Tolerance;
        int[] tokens = Rows.Random(7, 12, TinyDecoder.Vocabulary);

        using Sequence sequence = model.Start(Prompt.For(model, tokens.AsMemory(0, 5)));
        List<float[]> rows = [.. Rows.Forward(model, new Segment(sequence, default, 5))];
        rows.AddRange(Rows.Forward(model, new Segment(sequence, tokens.AsMemory(5, 1))));
        rows.AddRange(Rows.Forward(model, new Segment(sequence, tokens.AsMemory(6, 4), 4)));
        rows.AddRange(Rows.Forward(model, new Segment(sequence, tokens.AsMemory(10, 2), 2)));

        Rows.AssertEqual(Rows.Fresh(reference, tokens, tokens.Length), [.. rows], tolerance);
        Assert.Equal(12, sequence.Length);
        Assert.Equal(TinyDecoder.Context - 12, sequence.Room);
    }

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Forward_SequencesOfDifferentLengths_EqualSingleRuns(string dialect)
    {
        using OnnxLanguageModel model = Load(dialect);
        int[] lengths = [3, 17, 1, 9];
        int[][] texts = [.. lengths.Select((length, i) => Rows.Random(i, length + 3, TinyDecoder.Vocabulary))];
        Sequence[] sequences = [.. texts.Select((text, i) => model.Start(Prompt.For(model, text.AsMemory(0, lengths[i]))))];
        Rows.Forward(model, [.. sequences.Select(s => new Segment(s, default))]);
        for (int step = 0; step < 3; step++)
        {
            float[][] together = Rows.Forward(model, [.. sequences.Select((s, i) => new Segment(s, texts[i].AsMemory(lengths[i] + step, 1)))]);
            float[][] single = [.. texts.Select((text, i) => Rows.Fresh(model, text[..(lengths[i] + step + 1)])[0])];
            Rows.AssertEqual(single, together, dialect == "half" ? 0.02f : Tolerance);
        }
    }

    [Fact]
    public void Forward_ManySequences_RunsOncePerStep()
    {
        using OnnxLanguageModel model = Load("shared");
        Sequence[] sequences = [.. Enumerable.Range(0, 9).Select(i => model.Start(Prompt.For(model, Rows.Random(i, i + 1, TinyDecoder.Vocabulary))))];
        Rows.Forward(model, [.. sequences.Select(s => new Segment(s, default))]);
        long before = model.Runs;
        Rows.Forward(model, [.. sequences.Select(s => new Segment(s, new[] { 4 }))]);
        Assert.Equal(1, model.Runs - before);
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(5, 2)]
    [InlineData(8, 1)]
    [InlineData(11, 2)]
    public void Forward_BlocksOfSeveralSequences_NeedFewRunsAndEqualFreshSequences(int count, int runs)
    {
        using OnnxLanguageModel model = Load("shared");
        int[] lengths = [.. Enumerable.Range(0, count).Select(i => 1 + (i * 5 % 13))];
        int[][] texts = [.. lengths.Select((length, i) => Rows.Random(i, length + 12, TinyDecoder.Vocabulary))];
        Sequence[] sequences = [.. texts.Select((text, i) => model.Start(Prompt.For(model, text.AsMemory(0, lengths[i]))))];
        Rows.Forward(model, [.. sequences.Select(s => new Segment(s, default))]);

        // Blocks of 1 to 4 tokens, with all or some of their rows requested. Then other blocks in other places of the buffer.
        Assert.Equal(runs, Check(i => 1 + (i % 4), i => 1 + (i % 4 / 2)));
        sequences[0].Dispose();
        (sequences, texts, lengths) = ([.. sequences.Skip(1).Reverse()], [.. texts.Skip(1).Reverse()], [.. lengths.Skip(1).Reverse()]);
        Check(i => 4 - (i % 3), _ => 2);

        long Check(Func<int, int> block, Func<int, int> rows)
        {
            long before = model.Runs;
            float[][] together = Rows.Forward(model, [.. sequences.Select((s, i) => new Segment(s, texts[i].AsMemory(lengths[i], block(i)), rows(i)))]);
            long spent = model.Runs - before;
            float[][] single = [.. texts.SelectMany((text, i) => Rows.Fresh(model, text[..(lengths[i] + block(i))], rows(i)))];
            Rows.AssertEqual(single, together, Tolerance);
            lengths = [.. lengths.Select((length, i) => length + block(i))];
            return spent;
        }
    }

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Forward_SequencesStartEndAndOutgrowTheirBuffer_EqualFreshRuns(string dialect)
    {
        using OnnxLanguageModel model = Load(dialect);
        Random random = new(5);
        List<(Sequence Sequence, List<int> Text)> live = [];
        int longest = 0;
        for (int step = 0; step < 60; step++)
        {
            if (live.Count < 6 && random.Next(2) == 0)
            {
                int[] text = Rows.Random(step, random.Next(1, random.Next(4) == 0 ? 300 : 20), TinyDecoder.Vocabulary);
                Sequence sequence = model.Start(Prompt.For(model, text));
                Rows.Forward(model, new Segment(sequence, default));
                live.Add((sequence, [.. text]));
            }

            // Any subset decodes, in any order.
            (Sequence Sequence, List<int> Text)[] chosen = [.. live.Where(_ => random.Next(3) > 0)];
            random.Shuffle(chosen);
            if (chosen.Length > 0)
            {
                int token = random.Next(TinyDecoder.Vocabulary);
                float[][] rows = Rows.Forward(model, [.. chosen.Select(c => new Segment(c.Sequence, new[] { token }))]);
                Array.ForEach(chosen, c => c.Text.Add(token));
                int checkedRow = random.Next(chosen.Length);
                Rows.AssertEqual(Rows.Fresh(model, [.. chosen[checkedRow].Text]), [rows[checkedRow]], Tolerance);
                longest = chosen.Max(c => Math.Max(longest, c.Text.Count));
            }

            if (live.Count > 0 && random.Next(3) == 0)
            {
                int gone = random.Next(live.Count);
                live[gone].Sequence.Dispose();
                live.RemoveAt(gone);
            }
        }

        live.ForEach(l => l.Sequence.Dispose());
        Assert.Equal(0, model.LiveSequences);
        Assert.True(longest > 256, "No sequence outgrew the first width.");
    }

    [Fact]
    public void Forward_RowHeldNaN_NextSequenceIsUnaffected()
    {
        // The embedding of one token becomes NaN. The embeddings are the first weights of the file.
        const int Poison = TinyDecoder.Vocabulary - 1;
        string path = Write("external"), weights = Path.Combine(path, "weights.bin");
        byte[] bytes = File.ReadAllBytes(weights);
        MemoryMarshal.Cast<byte, float>(bytes.AsSpan()).Slice(Poison * TinyDecoder.Width, TinyDecoder.Width).Fill(float.NaN);
        File.WriteAllBytes(weights, bytes);
        using OnnxLanguageModel model = OnnxLanguageModel.Load(path, new()), reference = Load("shared");
        using (Sequence poisoned = model.Start(Prompt.For(model, Enumerable.Repeat(Poison, 50).ToArray())))
        {
            Assert.All(Rows.Forward(model, new Segment(poisoned, default))[0], logit => Assert.True(float.IsNaN(logit)));
        }

        // The first sequence takes over the row. The second makes the batch wider.
        int[][] texts = [Rows.Random(1, 4, Poison), Rows.Random(2, 60, Poison)];
        Sequence[] sequences = [.. texts.Select(text => model.Start(Prompt.For(model, text.AsMemory(0, text.Length - 1))))];
        Rows.Forward(model, [.. sequences.Select(s => new Segment(s, default))]);
        float[][] rows = Rows.Forward(model, [.. sequences.Select((s, i) => new Segment(s, texts[i].AsMemory(texts[i].Length - 1)))]);

        Rows.AssertEqual([.. texts.Select(text => Rows.Fresh(reference, text)[0])], rows, Tolerance);
    }

    [Fact]
    public void Forward_RowsStartedButNotComputed_DoNotChangeOtherRows()
    {
        using OnnxLanguageModel model = Load("shared");
        int[][] texts = [.. Enumerable.Range(0, 3).Select(i => Rows.Random(i, i + 4, TinyDecoder.Vocabulary))];
        Sequence[] computed = [.. texts.Select(text => model.Start(Prompt.For(model, text.AsMemory(0, text.Length - 1))))];
        Array.ForEach(computed, s => Rows.Forward(model, new Segment(s, default)));

        // Three more sequences take rows, of which the buffers contain only the first. The second row is free again.
        Sequence[] started = [.. Enumerable.Range(0, 3).Select(_ => model.Start(Prompt.For(model, new[] { 1 })))];
        started[1].Dispose();
        float[][] outer = Rows.Forward(model, [.. new[] { 0, 2 }.Select(i => new Segment(computed[i], texts[i].AsMemory(texts[i].Length - 1)))]);
        float[][] inner = Rows.Forward(model, new Segment(computed[1], texts[1].AsMemory(texts[1].Length - 1)));

        Rows.AssertEqual([.. new[] { 0, 2, 1 }.Select(i => Rows.Fresh(model, texts[i])[0])], [.. outer, .. inner], Tolerance);
    }

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Rewind_ThenAppend_EqualsNeverAppended(string dialect)
    {
        using OnnxLanguageModel model = Load(dialect);
        int[] text = Rows.Random(3, 10, TinyDecoder.Vocabulary);
        using Sequence sequence = model.Start(Prompt.For(model, text.AsMemory(0, 6)));
        Rows.Forward(model, new Segment(sequence, default));
        Rows.Forward(model, new Segment(sequence, new[] { 1, 2, 3, 4 }, 4));
        sequence.Rewind(3);
        Assert.Equal(7, sequence.Length);
        sequence.Rewind(1);
        float[][] rows = Rows.Forward(model, new Segment(sequence, text.AsMemory(6, 4), 4));
        Rows.AssertEqual(Rows.Fresh(model, text, 4), rows, Tolerance);
        Assert.Throws<ArgumentOutOfRangeException>(() => sequence.Rewind(5));
    }

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Forward_PromptLongerThanAChunk_EqualsShortPieces(string dialect)
    {
        using OnnxLanguageModel model = Load(dialect);
        int[] text = Rows.Random(11, 600, TinyDecoder.Vocabulary);
        using Sequence pieces = model.Start(Prompt.For(model, text.AsMemory(0, 100)));
        Rows.Forward(model, new Segment(pieces, default));
        for (int start = 100; start < 600; start += 100)
        {
            Rows.Forward(model, new Segment(pieces, text.AsMemory(start, 100)));
        }

        pieces.Rewind(1);
        Rows.AssertEqual(Rows.Fresh(model, text), Rows.Forward(model, new Segment(pieces, text.AsMemory(599, 1))), Tolerance);
    }

    [Fact]
    public void Start_MoreSequencesThanAllowed_IsRefusedUntilOneIsFreed()
    {
        using OnnxLanguageModel model = OnnxLanguageModel.Load(Write("shared"), new() { MaxSequences = 1 });
        Sequence first = model.Start(Prompt.For(model, new[] { 1 }));
        Assert.Equal(EngineError.QueueFull, Assert.Throws<EngineException>(() => model.Start(Prompt.For(model, new[] { 1 }))).Error);
        first.Dispose();
        first.Dispose();
        using Sequence second = model.Start(Prompt.For(model, new[] { 1 }));
        Assert.Equal(1, model.LiveSequences);
    }

    [Fact]
    public void Load_ModelFolder_ReadsItsConfig()
    {
        using OnnxLanguageModel model = Load("shared");
        using OnnxLanguageModel other = Load("external");
        Assert.Equal(("shared", TinyDecoder.Vocabulary, TinyDecoder.Context), (model.Info.Name, model.Info.VocabularySize, model.Info.ContextLength));
        Assert.Equal([3, 5], model.Info.EndOfTextIds);
        Assert.Equal(64, model.Info.Hash.Length);
        Assert.NotEqual(model.Info.Hash, other.Info.Hash);
    }

    [Fact]
    public void Load_WeightsChange_ChangesTheHash()
    {
        string path = Write("external");
        using OnnxLanguageModel before = OnnxLanguageModel.Load(path, new());
        byte[] weights = File.ReadAllBytes(Path.Combine(path, "weights.bin"));
        weights[^1] ^= 1;
        File.WriteAllBytes(Path.Combine(path, "weights.bin"), weights);
        using OnnxLanguageModel after = OnnxLanguageModel.Load(path, new());
        Assert.NotEqual(before.Info.Hash, after.Info.Hash);
    }

    [Theory]
    [InlineData("genai_config.json", true)]
    [InlineData("genai_config.json", false)]
    [InlineData("model.onnx", true)]
    [InlineData("model.onnx", false)]
    [InlineData("weights.bin", true)]
    [InlineData("weights.bin", false)]
    public void Load_FileMissingOrTruncated_NamesFolderAndFile(string file, bool missing)
    {
        string path = Write("external");
        string victim = Path.Combine(path, file);
        byte[] content = File.ReadAllBytes(victim);
        File.Delete(victim);
        if (!missing)
        {
            File.WriteAllBytes(victim, content[..(content.Length / 2)]);
        }

        EngineException e = Assert.Throws<EngineException>(() => OnnxLanguageModel.Load(path, new()));
        Assert.Equal(EngineError.InvalidModelFolder, e.Error);
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        Assert.Contains(file, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../weights.bin")]
    [InlineData("/weights.bin")]
    public void Load_WeightsOutsideTheFolder_IsRefused(string location)
    {
        string path = Write("external"), graph = Path.Combine(path, "model.onnx");
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(graph));
        model.Graph.Initializer.First(weight => weight.ExternalData.Count > 0).ExternalData.Single(entry => entry.Key == "location").Value = location;
        File.WriteAllBytes(graph, model.ToByteArray());
        EngineException e = Assert.Throws<EngineException>(() => OnnxLanguageModel.Load(path, new()));
        Assert.Contains($"'{location}'", e.Message, StringComparison.Ordinal);
    }

    /// <summary>As in Hugging Face's cache, whose files are links into a folder beside.</summary>
    [Theory]
    [InlineData("shared")]
    [InlineData("external")]
    public void Load_FilesAreLinks_EqualsTheFiles(string dialect)
    {
        string path = Write(dialect), blobs = Directory.CreateDirectory(Path.Combine(folder, "blobs")).FullName, links = Directory.CreateDirectory(Path.Combine(folder, "links")).FullName;
        foreach ((int i, string file) in Directory.GetFiles(path).Index())
        {
            File.Copy(file, Path.Combine(blobs, $"blob{i}"));
            File.CreateSymbolicLink(Path.Combine(links, Path.GetFileName(file)), Path.Combine("..", "blobs", $"blob{i}"));
        }

        using OnnxLanguageModel model = OnnxLanguageModel.Load(path, new()), linked = OnnxLanguageModel.Load(links, new());
        int[] text = Rows.Random(3, 9, TinyDecoder.Vocabulary);
        Assert.Equal(Rows.Fresh(model, text), Rows.Fresh(linked, text));
        Assert.Equal(model.Info.Hash, linked.Info.Hash);
    }

    /// <summary>Each input may have its own type of integers.</summary>
    [Theory]
    [InlineData("attention_mask")]
    [InlineData("input_ids")]
    public void Forward_InputOf32Bits_EqualsThatOf64(string input)
    {
        string path = Write("plain");
        using OnnxLanguageModel model = OnnxLanguageModel.Load(path, new());
        int[] text = Rows.Random(3, 9, TinyDecoder.Vocabulary);
        float[][] expected = Rows.Fresh(model, text);
        Edit(path, graph =>
        {
            bool isNarrow = graph.Input.Single(one => one.Name == input).Type.TensorType.ElemType == (int)TensorProto.Types.DataType.Int32;
            Retype(graph, input, isNarrow ? TensorProto.Types.DataType.Int64 : TensorProto.Types.DataType.Int32);
        });
        using OnnxLanguageModel narrow = OnnxLanguageModel.Load(path, new());
        Assert.Equal(expected, Rows.Fresh(narrow, text));
    }

    [Fact]
    public void Load_InputIsNoInteger_IsRefusedByName()
    {
        string path = Write("plain");
        Edit(path, graph => Retype(graph, "attention_mask", TensorProto.Types.DataType.Float));
        EngineException e = Assert.Throws<EngineException>(() => OnnxLanguageModel.Load(path, new()));
        Assert.Contains("'attention_mask' the type Float; accepted are Int64 and Int32", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("context_length", 100_000, "rotary tables for")]
    [InlineData("vocab_size", 100_000, "vocab_size is 100000; accepted is at most the number of logits")]
    public void Load_NumberOfTheConfigDisagreesWithTheGraph_IsRefused(string field, int value, string words)
    {
        using TinyModel model = TinyModel.Create();
        string config = Path.Combine(model.Folder, "genai_config.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(config))!;
        json["model"]![field] = value;
        File.WriteAllText(config, json.ToJsonString());
        EngineException e = Assert.Throws<EngineException>(() => OnnxLanguageModel.Load(model.Folder, new()));
        Assert.Equal(EngineError.InvalidModelFolder, e.Error);
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        Assert.Contains(field, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("cuda")]
    [InlineData("abacus")]
    public void Load_ExecutionProviderMissing_NamesTheAvailableOnes(string provider)
    {
        EngineException e = Assert.Throws<EngineException>(() => OnnxLanguageModel.Load(Write("shared"), new() { ExecutionProvider = provider }));
        Assert.Equal(EngineError.InvalidValue, e.Error);
        Assert.Contains(provider, e.Message, StringComparison.Ordinal);
        Assert.Contains("CPUExecutionProvider", e.Message, StringComparison.Ordinal);
    }

    private static void Edit(string path, Action<GraphProto> edit)
    {
        string file = Path.Combine(path, "model.onnx");
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(file));
        edit(model.Graph);
        File.WriteAllBytes(file, model.ToByteArray());
    }

    /// <summary>Gives an input another type, and a cast to its old type.</summary>
    private static void Retype(GraphProto graph, string input, TensorProto.Types.DataType type)
    {
        ValueInfoProto declared = graph.Input.Single(one => one.Name == input);
        NodeProto cast = new() { OpType = "Cast", Input = { input }, Output = { "cast_" + input } };
        cast.Attribute.Add(new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = declared.Type.TensorType.ElemType });
        declared.Type.TensorType.ElemType = (int)type;
        foreach (NodeProto node in graph.Node)
        {
            for (int i = 0; i < node.Input.Count; i++)
            {
                node.Input[i] = node.Input[i] == input ? "cast_" + input : node.Input[i];
            }
        }

        graph.Node.Insert(0, cast);
    }

    private OnnxLanguageModel Load(string dialect) => OnnxLanguageModel.Load(Write(dialect), new());

    private string Write(string dialect) => new TinyDecoder
    {
        Plain = dialect == "plain",
        Half = dialect == "half",
        ExternalWeights = dialect == "external",
        LastRowOnly = dialect == "last-row",
    }.Write(Path.Combine(folder, dialect));
}
