using Onnx;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Tests which graphs can compute selected rows. The values of the rows are tested on whole models.</summary>
public sealed class LogitsRowsTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("proxytune-rows-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Of_ExportedGraph_SelectsRowsBeforeTheHead()
    {
        TinyModel.Write(folder);
        AssertChooses(Read());
    }

    [Theory]
    [InlineData(ForeignKind.SeparateProjections)]
    [InlineData(ForeignKind.PlainAttention)]
    public void Of_ForeignGraph_SelectsRowsBeforeTheHead(ForeignKind kind)
    {
        ForeignModel.Write(folder, kind);
        AssertChooses(Read());
    }

    [Fact]
    public void Of_LogitsConvertedAfterTheHead_SelectsRowsBeforeTheHead()
    {
        new TinyDecoder { Half = true }.Write(folder);
        AssertChooses(Read());
    }

    [Fact]
    public void Of_GraphThatGivesTheLastRowOnly_IsNull()
    {
        new TinyDecoder { LastRowOnly = true }.Write(folder);
        Assert.Null(LogitsRows.Of(Read(), "logits"));
    }

    [Fact]
    public void Of_HeadWithAnotherReader_IsNull()
    {
        new TinyDecoder { Half = true }.Write(folder);
        ModelProto model = Read();
        model.Graph.Output.Add(new ValueInfoProto { Name = "logits.single" });
        Assert.Null(LogitsRows.Of(model, "logits"));
    }

    private ModelProto Read() => ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(folder, "model.onnx")));

    private static void AssertChooses(ModelProto model)
    {
        ModelProto variant = LogitsRows.Of(model, "logits")!;
        Assert.Contains(variant.Graph.Input, input => input.Name == LogitsRows.Input);
        Assert.DoesNotContain(model.Graph.Input, input => input.Name == LogitsRows.Input);
    }
}
